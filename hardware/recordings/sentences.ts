/** NMEA 0183 sentences (IEC 61162-1 section 8.3, version 4.10 with system and signal identifiers) as a receiver prints them. */
import type { Dilution, Seen, Talker } from "./sky.ts";

/** What a receiver knows in one second; `undefined`: it does not know it. */
export type Epoch = {
  /** Unix ms by the receiver's clock. */
  readonly utc: number | undefined;
  readonly seen: readonly Seen[];
  readonly fix: Fix | undefined;
};

export type Fix = {
  readonly dimensions: 2 | 3;
  /** Degrees WGS 84, metres above mean sea level. */
  readonly latitude: number;
  readonly longitude: number;
  readonly altitude: number;
  /** m/s; degrees, undefined while it stands. */
  readonly speed: number;
  readonly course: number | undefined;
  readonly dilution: Dilution;
};

const systemIds = { GP: 1, GL: 2, GA: 3 } as const satisfies Record<Talker, number>;
/** L1 C/A, G1 C/A, E1 (IEC 61162-1, table of signal identifiers). */
const signalIds = { GP: 1, GL: 1, GA: 7 } as const satisfies Record<Talker, number>;
const talkers: readonly Talker[] = ["GP", "GL", "GA"];
const geoidSeparation = 39.4;
const knot = 0.514_444;

/** `$`, body, checksum, without line end. */
export function sentence(body: string): string {
  let checksum = 0;
  for (let index = 0; index < body.length; index++) checksum ^= body.charCodeAt(index);
  return `$${body}*${checksum.toString(16).toUpperCase().padStart(2, "0")}`;
}

/** The burst of one second: RMC, GGA, GSA for each constellation, GSV for each; with `chatty` VTG and GLL too. */
export function burstOf(epoch: Epoch, chatty: boolean): string[] {
  return [
    rmc(epoch),
    ...(chatty ? [vtg(epoch)] : []),
    gga(epoch),
    ...talkers.map((talker) => gsa(epoch, talker)),
    ...talkers.flatMap((talker) =>
      gsv(
        epoch.seen.filter((one) => one.talker === talker),
        talker,
      ),
    ),
    ...(chatty ? [gll(epoch)] : []),
  ];
}

function gga({ utc, fix, seen }: Epoch): string {
  if (!fix) return sentence(`GNGGA,${timeOfDay(utc)},,,,,0,00,99.99,,,,,,`);
  const used = Math.min(12, seen.filter(({ used }) => used).length);
  return sentence(
    `GNGGA,${timeOfDay(utc)},${place(fix)},1,${two(used)},${fix.dilution.hdop.toFixed(2)},${fix.altitude.toFixed(1)},M,${geoidSeparation},M,,`,
  );
}

function rmc({ utc, fix }: Epoch): string {
  if (!fix) return sentence(`GNRMC,${timeOfDay(utc)},V,,,,,,,${date(utc)},,,N,V`);
  const course = fix.course === undefined ? "" : degrees(fix.course);
  return sentence(
    `GNRMC,${timeOfDay(utc)},A,${place(fix)},${(fix.speed / knot).toFixed(3)},${course},${date(utc)},,,A,V`,
  );
}

function vtg({ fix }: Epoch): string {
  if (!fix) return sentence("GNVTG,,,,,,,,,N");
  const course = fix.course === undefined ? "" : degrees(fix.course);
  return sentence(`GNVTG,${course},T,,M,${(fix.speed / knot).toFixed(3)},N,${(fix.speed * 3.6).toFixed(3)},K,A`);
}

function gll({ utc, fix }: Epoch): string {
  return sentence(fix ? `GNGLL,${place(fix)},${timeOfDay(utc)},A,A` : `GNGLL,,,,,${timeOfDay(utc)},V,N`);
}

function gsa({ fix, seen }: Epoch, talker: Talker): string {
  const ids = fix ? seen.filter((one) => one.used && one.talker === talker).map(({ id }) => two(id)) : [];
  const slots = Array.from({ length: 12 }, (_, index) => ids[index] ?? "").join(",");
  const dops = fix
    ? [fix.dilution.pdop, fix.dilution.hdop, fix.dilution.vdop].map((dop) => dop.toFixed(2)).join(",")
    : "99.99,99.99,99.99";
  return sentence(`GNGSA,A,${fix?.dimensions ?? 1},${slots},${dops},${systemIds[talker]}`);
}

function gsv(seen: readonly Seen[], talker: Talker): string[] {
  const total = Math.max(1, Math.ceil(seen.length / 4));
  return Array.from({ length: total }, (_, message) => {
    const four = seen.slice(message * 4, message * 4 + 4).map(({ id, elevation, azimuth, snr }) => {
      const from = String(Math.round(azimuth) % 360).padStart(3, "0");
      return `,${two(id)},${two(Math.round(elevation))},${from},${snr === undefined ? "" : two(snr)}`;
    });
    return sentence(`${talker}GSV,${total},${message + 1},${two(seen.length)}${four.join("")},${signalIds[talker]}`);
  });
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}

/** 359.996 must not become 360.00. */
function degrees(course: number): string {
  return (Math.round(course * 100) % 36_000) / 100 === 0
    ? "0.00"
    : ((Math.round(course * 100) % 36_000) / 100).toFixed(2);
}

function timeOfDay(utc: number | undefined): string {
  return utc === undefined ? "" : `${new Date(utc).toISOString().slice(11, 19).replaceAll(":", "")}.00`;
}

function date(utc: number | undefined): string {
  if (utc === undefined) return "";
  const [year = "", month = "", day = ""] = new Date(utc).toISOString().slice(2, 10).split("-");
  return `${day}${month}${year}`;
}

function place({ latitude, longitude }: Fix): string {
  return `${minutes(latitude, 2)},${latitude < 0 ? "S" : "N"},${minutes(longitude, 3)},${longitude < 0 ? "W" : "E"}`;
}

/** Degrees and minutes with five digits (2 cm), rounded as a whole so that 59.999999 minutes become the next degree. */
function minutes(angle: number, digits: 2 | 3): string {
  const hundredThousandths = Math.round(Math.abs(angle) * 60 * 100_000);
  const whole = Math.floor(hundredThousandths / 6_000_000);
  const rest = (hundredThousandths % 6_000_000) / 100_000;
  return `${String(whole).padStart(digits, "0")}${rest.toFixed(5).padStart(8, "0")}`;
}
