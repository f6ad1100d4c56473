/** What is due when, for a whole fleet: one heap and one timer in place of a timer per node and purpose. */

export type Appointment = { readonly atMs: number; task: (() => void) | undefined };

export type Agenda = {
  /** `atMs` by the clock of the agenda. A task may be cancelled by `cancel`. */
  at(atMs: number, task: () => void): Appointment;
  cancel(appointment: Appointment | undefined): void;
  readonly size: number;
  /** Forgets everything. */
  close(): void;
};

/** Tasks done in one go before sockets get their turn, ms. */
const longestGoMs = 20;
/** What setTimeout takes. */
const longestTimerMs = 2 ** 31 - 1;

/** @param clock ms, never falls */
export function createAgenda(clock: () => number): Agenda {
  const heap: Appointment[] = [];
  let timer: NodeJS.Timeout | undefined;
  let wakesAt = Number.POSITIVE_INFINITY;
  let closed = false;

  function swap(one: number, other: number): void {
    const [a, b] = [heap[one], heap[other]];
    if (a && b) [heap[one], heap[other]] = [b, a];
  }
  const dueAt = (place: number) => heap[place]?.atMs ?? Number.POSITIVE_INFINITY;

  function push(appointment: Appointment): void {
    heap.push(appointment);
    for (let place = heap.length - 1; place > 0; ) {
      const parent = (place - 1) >> 1;
      if (dueAt(parent) <= dueAt(place)) break;
      swap(place, parent);
      place = parent;
    }
  }

  function pop(): Appointment | undefined {
    const first = heap[0];
    const last = heap.pop();
    if (last && heap.length > 0) {
      heap[0] = last;
      for (let place = 0; ; ) {
        const left = 2 * place + 1;
        const least = dueAt(left + 1) < dueAt(left) ? left + 1 : left;
        if (dueAt(place) <= dueAt(least)) break;
        swap(place, least);
        place = least;
      }
    }
    return first;
  }

  function run(): void {
    wakesAt = Number.POSITIVE_INFINITY;
    const until = clock() + longestGoMs;
    for (let now = clock(); dueAt(0) <= now && now < until && !closed; now = clock()) {
      const appointment = pop();
      const task = appointment?.task;
      if (appointment) appointment.task = undefined;
      task?.();
    }
    arm();
  }

  function arm(): void {
    const next = dueAt(0);
    if (closed || next >= wakesAt) return;
    clearTimeout(timer);
    wakesAt = next;
    timer = setTimeout(run, Math.min(longestTimerMs, Math.max(0, Math.ceil(next - clock()))));
  }

  return {
    at(atMs, task) {
      const appointment = { atMs, task };
      push(appointment);
      arm();
      return appointment;
    },
    cancel(appointment) {
      if (appointment) appointment.task = undefined;
    },
    get size() {
      return heap.length;
    },
    close() {
      closed = true;
      clearTimeout(timer);
      heap.length = 0;
    },
  };
}
