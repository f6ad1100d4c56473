/** A car through streets: straights and corners at speeds that a driver would choose, stops at lights, one tunnel. */
import type { Random } from "./random.ts";

/** The car at a whole second. Metres east and north of the start and above it, m/s, degrees from north. */
export type Moment = {
  readonly east: number;
  readonly north: number;
  readonly up: number;
  readonly speed: number;
  readonly course: number;
  readonly tunnel: boolean;
};

type Stretch = {
  /** Metres along the road. */
  readonly length: number;
  /** Degrees turned over the length; 0 on a straight. */
  readonly turn: number;
  /** m/s. */
  readonly limit: number;
  /** Seconds at a red light at the end; 0: none. */
  readonly wait: number;
  readonly tunnel: boolean;
};

const cornerRadius = 11;
const cornerSpeed = 4.7;
const tunnelLength = 520;
const accelerate = 1.7;
const brake = 2.1;
const step = 0.1;

/** One moment per second, from 0 to `seconds`. `tunnelAfter`: the stretch of road (counted from 0) behind which the tunnel lies. */
export function drive(random: Random, seconds: number, tunnelAfter: number): Moment[] {
  const road = layRoad(random, tunnelAfter, 80);
  const moments: Moment[] = [];
  let at = 0;
  let along = 0;
  let [east, north, course, speed, waited] = [0, 0, 37, 0, 0];
  for (let tick = 0; moments.length <= seconds; tick++) {
    const here = road[at];
    if (!here) throw new Error("the road is too short");
    if (tick % Math.round(1 / step) === 0) {
      const distance = Math.hypot(east, north);
      const up =
        2.5 * Math.sin(distance / 260) + 1.5 * Math.sin(east / 140) - (here.tunnel ? 6 * dip(along / here.length) : 0);
      moments.push({ east, north, up, speed, course: (course + 360) % 360, tunnel: here.tunnel });
    }
    const left = here.length - along;
    if (here.wait > 0 && left < 0.6 && speed < 1.7 && waited < here.wait) {
      speed = 0;
      waited += step;
      continue;
    }
    const allowed = allowedSpeed(road, at, along, waited);
    speed += Math.min(accelerate * step, Math.max(-brake * step, allowed - speed));
    const moved = Math.max(speed, 0.1) * step;
    along += moved;
    course += (here.turn * moved) / here.length;
    east += moved * Math.sin((course * Math.PI) / 180);
    north += moved * Math.cos((course * Math.PI) / 180);
    if (along >= here.length) {
      along -= here.length;
      at += 1;
      waited = 0;
    }
  }
  return moments;
}

/** 0 at both ends of the tunnel, 1 in its middle. */
function dip(share: number): number {
  return Math.sin(Math.PI * Math.min(1, Math.max(0, share))) ** 2;
}

function layRoad(random: Random, tunnelAfter: number, stretches: number): Stretch[] {
  const road: Stretch[] = [];
  for (let index = 0; index < stretches; index++) {
    if (index === tunnelAfter) road.push({ length: tunnelLength, turn: 0, limit: 13.2, wait: 0, tunnel: true });
    const wait = random.uniform() < 0.4 ? random.whole(9, 34) : 0;
    const limit = random.pick([8.3, 8.3, 13.9]);
    road.push({ length: random.whole(90, 420), turn: random.normal(6), limit, wait, tunnel: false });
    const turn = random.pick([-90, -90, 90, 90, 45, -60, 0]);
    if (turn !== 0)
      road.push({
        length: (Math.abs(turn) * Math.PI * cornerRadius) / 180,
        turn,
        limit: cornerSpeed,
        wait: 0,
        tunnel: false,
      });
  }
  return road;
}

/** Fastest speed here from which every limit and red light ahead can still be met by braking. */
function allowedSpeed(road: readonly Stretch[], at: number, along: number, waited: number): number {
  const here = road[at];
  if (!here) return 0;
  let allowed = here.limit;
  let ahead = -along;
  for (let index = at; index < road.length && ahead < 120; index++) {
    const stretch = road[index];
    if (!stretch) break;
    ahead += stretch.length;
    const passed = index === at && waited >= stretch.wait;
    const next = stretch.wait > 0 && !passed ? 0 : (road[index + 1]?.limit ?? 0);
    allowed = Math.min(allowed, Math.sqrt(2 * brake * Math.max(0, ahead - 0.3) + next * next));
  }
  return allowed;
}
