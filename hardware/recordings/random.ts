/** Seeded chance for made recordings: the same seed gives the same numbers on every machine. */

export type Random = {
  /** 0 (included) to 1 (excluded). */
  uniform(): number;
  /** Whole number from `least` to `most`, both included. */
  whole(least: number, most: number): number;
  /** Normal distribution around 0 with the given standard deviation (Box and Muller 1958). */
  normal(deviation: number): number;
  pick<T>(list: readonly T[]): T;
};

/** Generator "xorshift32" (Marsaglia, Journal of Statistical Software 8, 2003, section 3). `seed`: any whole number but 0. */
export function createRandom(seed: number): Random {
  let state = seed | 0;
  if (state === 0) throw new Error("the seed must not be 0");
  const uniform = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  const whole = (least: number, most: number) => least + Math.floor(uniform() * (most - least + 1));
  return {
    uniform,
    whole,
    normal: (deviation) => deviation * Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
    pick(list) {
      const chosen = list[whole(0, list.length - 1)];
      if (chosen === undefined) throw new Error("nothing to pick from");
      return chosen;
    },
  };
}

/**
 * Noise that remembers: a first-order Gauss-Markov process. `deviation`: its standard deviation in the long run; `seconds`: the
 * time over which it forgets (correlation 1/e). Each call is one second later.
 */
export function createDrift(random: Random, deviation: number, seconds: number): () => number {
  const keep = Math.exp(-1 / seconds);
  let value = random.normal(deviation);
  return () => {
    value = value * keep + random.normal(deviation * Math.sqrt(1 - keep * keep));
    return value;
  };
}
