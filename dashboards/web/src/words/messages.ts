/** Every word of the page, in English and German. What the coordinator writes (reasons, remedies) stays in its English. */
import type { NodeState, SlotState } from "@cairn/protocol";
import { joined, type Phrase, type Piece, say } from "./phrases.ts";
import type { Span } from "./times.ts";

const states: Readonly<Record<NodeState, string>> = {
  online: "online",
  degraded: "degraded",
  offline: "offline",
  unheard: "never heard of",
};
const slotWords: Readonly<Record<SlotState, string>> = {
  credited: "credited",
  answered: "answered",
  open: "open",
  missed: "missed",
  void: "void",
  ahead: "ahead",
};
type Parts = readonly Phrase[];
const command = (text: string): Piece => ({ kind: "command", text });

const en = {
  language: "en",
  states,
  slots: slotWords,
  slotMeanings: {
    credited: "counts for the node",
    answered: "evidence arrived, not yet judged",
    open: "runs now, no evidence yet",
    missed: "no valid evidence in time",
    void: "counts for nobody",
    ahead: "has not begun",
  } as Readonly<Record<SlotState, string>>,
  epochStates: {
    closed: "closed, root not yet posted",
    posted: "root posted",
    settled: "settled, all claims paid",
    void: "void",
  },
  evidenceLevels: {
    software: "software key",
    "secure-element": "secure element",
    "tpm-measured": "TPM, measured boot",
  },
  qualities: { good: "good", uncertain: "uncertain", bad: "bad" } as Readonly<Record<string, string>>,

  nav: { fleet: "Fleet", epochs: "Epochs", refused: "Refused", label: "Pages", skip: "To the content" },
  link: {
    connecting: "connecting",
    live: "live",
    reconnecting: "reconnecting",
    pausedAt: (time: string) => `paused at ${time}`,
    pause: "Pause",
    resume: "Resume",
    pauseHint: "Hold what is shown; press again to go on",
  },
  spans: (span: Span) => `${span.count} ${span.unit}`,
  ago: (span: string) => `${span} ago`,
  justNow: "now",
  never: "never",
  unknown: "not stated",
  copy: "Copy",
  copied: "Copied",
  showAll: (count: number) => `Show all ${count}`,
  showLess: "Show fewer",
  tryAgain: "Try again",

  fleet: {
    title: "Fleet",
    question: "Is the fleet earning?",
    empty: say`No node is enrolled yet.`,
    emptyHelp: say`Add a device's public key to the coordinator's roster and start ${command("cairn-node")} on the device; it appears here by itself. On one machine, ${command("npm start")} runs a network with nodes of its own.`,
    allEarning: (total: number): Phrase =>
      total === 1 ? say`The only node is earning.` : say`${total} of ${total} nodes are earning.`,
    notEarning: (count: number, total: number, causes: Parts): Phrase =>
      say`${count} of ${total} ${total === 1 ? "node" : "nodes"} ${count === 1 ? "is" : "are"} not earning: ${joined(causes, ", ")}.`,
    offline: (who: Phrase | number, since: Piece | null, reason: Piece | null): Phrase =>
      say`${who} offline${since === null ? "" : say` since ${since}`}${reason === null ? "" : say` (${reason})`}`,
    unheard: (who: Phrase | number): Phrase => say`${who} never heard of`,
    underFloor: (who: Phrase | number, floor: string): Phrase =>
      say`${who} under the uptime floor of ${floor} in this epoch`,
    degraded: (who: Phrase | number, since: Piece | null, reason: Piece | null): Phrase =>
      say`${who} degraded${since === null ? "" : say` since ${since}`}${reason === null ? "" : say`: ${reason}`}.`,
    workOnly: (who: Phrase | number, floor: string): Phrase =>
      say`Under the uptime floor of ${floor}, so paid in this epoch for work only: ${who}.`,
    voidSlots: (count: number): Phrase =>
      count === 1
        ? say`1 slot of this epoch is void: it counts for nobody.`
        : say`${count} slots of this epoch are void: they count for nobody.`,
    epoch: (epoch: number, slot: number, slots: number, rest: string) =>
      `Epoch ${epoch}: slot ${slot} of ${slots}, ends in ${rest}`,
    epochEnded: (epoch: number) => `Epoch ${epoch}: all slots over, being closed`,
    search: "Search name, id, operator, state",
    found: (count: number, total: number) => `${count} of ${total} nodes`,
    notFound: (search: string) => `No node matches “${search}”.`,
    clearSearch: "Clear the search",
    columns: {
      node: "Node",
      state: "State",
      heard: "Last heard",
      slots: "Uptime, this epoch",
      rate: "Readings/min",
      stored: "Stored",
      refused: "Refused",
    },
    legend: "Slots",
    since: (time: Piece): Phrase => say`since ${time}`,
    heardBy: (topic: string) => `by ${topic}`,
  },

  strip: {
    label: (epoch: number, words: string) => `Epoch ${epoch}: ${words}`,
    slot: (time: string, word: string, meaning: string) => `${time}: ${word}, ${meaning}`,
    count: (count: number, word: string) => `${count} ${word}`,
    score: (credited: number, judged: number) => `${credited}/${judged}`,
    scoreTitle: (credited: number, judged: number) => `${credited} credited of ${judged} judged so far`,
  },

  node: {
    earning: (who: Piece, state: string, since: Piece | null, evidence: Phrase): Phrase =>
      say`${who} is earning: ${state}${since === null ? "" : say` since ${since}`}, ${evidence}.`,
    offline: (who: Piece, since: Piece | null, reason: Piece | null): Phrase =>
      say`${who} is not earning: offline${since === null ? "" : say` since ${since}`}${reason === null ? "" : say` (${reason})`}.`,
    unheard: (who: Piece): Phrase => say`${who} is not earning: it is enrolled, but was never heard of.`,
    unheardHelp: "Start cairn-node on the device with this network's descriptor and the key that was enrolled.",
    underFloor: (who: Piece, floor: string, missed: number): Phrase =>
      say`${who} is not earning in this epoch: ${missed} missed slots put the uptime floor of ${floor} out of reach.`,
    credited: (credited: number, judged: number): Phrase =>
      judged === 0 ? say`no slot of this epoch judged yet` : say`${credited} of ${judged} slots credited in this epoch`,
    readings: "Readings",
    range: "Range",
    ranges: { "5m": "5 min", "1h": "1 h", "6h": "6 h", "24h": "24 h" },
    noSeries: "No readings are stored of this node yet.",
    noSeriesHelp:
      "A sensor workload in the node's settings produces them; the first batch arrives within seconds of its start.",
    nothingInRange: "Nothing stored in this range. The last value is shown above; choose a longer range.",
    plotLabel: (series: string, unit: string, range: string) =>
      `Plot of ${series}${unit === "" ? "" : ` in ${unit}`} over the last ${range}`,
    newestOnly: (count: string) => `Only the newest ${count} readings of this range are drawn.`,
    gapKey: "empty: lost or not measured",
    badKey: "hatched: the node calls its values bad",
    identity: "Identity",
    evidence: "Evidence",
    evidenceLevel: "Evidence level",
    nodeId: "NodeId",
    operator: "Operator",
    algorithm: "Key",
    boot: "Boot",
    bootCount: "Boots",
    software: "Software",
    profile: "Profile",
    capabilities: "Capabilities",
    uptime: "Uptime",
    enrolled: "Enrolled",
    verdicts: { time: "Time", slots: "Slots", state: "Verdict", reason: "Reason" },
    showWhole: "Show all epochs",
    acceptedAfter: (seconds: string) => `Evidence accepted ${seconds} s after the slot began.`,
    fromTo: (least: string, most: string) => `${least} to ${most}`,
    epochName: (epoch: number) => `Epoch ${epoch}`,
    noVerdicts: "No slot is judged yet.",
    noVerdictsHelp: "The first verdict comes when the running slot ends.",
    refused: "Refused inputs",
    noRefused: "None of this node's inputs was refused.",
    rewards: "Rewards",
    rewardColumns: { epoch: "Epoch", slots: "Slots", void: "Void", work: "Work", amount: "Reward" },
    earned: (amount: Piece, symbol: string): Phrase => say`${amount} ${symbol} earned in all epochs.`,
    noRewards: "No reward yet.",
    noRewardsHelp: "The first one comes when the running epoch closes.",
    notEnrolled: "The fleet page lists every enrolled node.",
  },

  epochs: {
    title: "Epochs",
    empty: say`No epoch is closed yet.`,
    emptyHelp: (epoch: number, rest: string) =>
      `Epoch ${epoch} runs and ends in ${rest}; its rewards appear here by themselves.`,
    emptyHelpEnded: "The running epoch closes when its data is complete; its rewards appear here by themselves.",
    allClaimed: (amount: Piece, symbol: string, count: number): Phrase =>
      say`${amount} ${symbol} minted in ${count} ${count === 1 ? "epoch" : "epochs"}, all claimed.`,
    someClaimed: (amount: Piece, symbol: string, count: number, claimed: Piece, unclaimed: Piece): Phrase =>
      say`${amount} ${symbol} awarded in ${count} ${count === 1 ? "epoch" : "epochs"}: ${claimed} claimed, ${unclaimed} to be claimed.`,
    nonePosted: say`No epoch's root is on chain yet.`,
    waiting: (count: number): Phrase =>
      count === 1
        ? say`1 closed epoch waits for its root to be posted.`
        : say`${count} closed epochs wait for their roots to be posted.`,
    voided: (count: number): Phrase =>
      count === 1
        ? say`1 epoch is void: no slot of it counts, so nothing is posted.`
        : say`${count} epochs are void: no slot of them counts, so nothing is posted.`,
    columns: {
      epoch: "Epoch",
      time: "Time",
      state: "State",
      nodes: "Nodes",
      slots: "Slots credited",
      void: "Void",
      tokens: "Tokens",
      transaction: "Transaction",
      claims: "Claims",
    },
    slots: (credited: string, expected: string) => `${credited} of ${expected}`,
    claims: (count: number) => (count === 1 ? "1 claim" : `${count} claims`),
    noClaims: "no claims",
    notYet: "not yet",
    claimColumns: { operator: "Operator", amount: "Amount", transaction: "Transaction" },
    unclaimed: "not yet claimed",
    root: "Root",
    evidenceHash: "Evidence bundle",
  },

  refused: {
    title: "Refused",
    none: say`No input was refused.`,
    noneHelp: "Whatever arrives and cannot be accepted is listed here with its reason and its remedy.",
    sentence: (total: number, kinds: number, worst: string, worstCount: number): Phrase =>
      kinds === 1
        ? say`${total} ${total === 1 ? "input was" : "inputs were"} refused: ${worst}.`
        : say`${total} inputs were refused for ${kinds} reasons, most often ${worst} (${worstCount}).`,
    byCode: "By reason",
    latest: "Latest",
    latestOf: (code: string) => `Latest: ${code}`,
    all: "Show all reasons",
    columns: {
      code: "Code",
      count: "Count",
      meaning: "What happened",
      remedy: "Remedy",
      time: "Time",
      node: "Node",
    },
    bytes: (bytes: string) => `${bytes} bytes`,
    noNode: "unknown sender",
    noneOfCode: "None of the latest refusals has this code.",
  },

  keys: {
    title: "Keys",
    close: "Close",
    show: "Keys",
    list: [
      ["g f", "go to the fleet"],
      ["g e", "go to the epochs"],
      ["g r", "go to the refused inputs"],
      ["j  k", "next, previous node in the fleet"],
      ["Enter", "open the node"],
      ["/", "search the fleet"],
      ["p", "pause, resume"],
      ["?", "show these keys"],
    ] as readonly (readonly [keys: string, does: string])[],
  },

  problem: {
    unreachable: "The coordinator does not answer",
    unreachableDetail: (path: string) => `No answer to GET ${path}.`,
    unreachableRemedy: "Check that it runs and that this machine reaches it. The page tries again by itself.",
    serverRemedy: "The coordinator's log names the cause at this time.",
    requestRemedy: "Check the address of this page.",
    status: (status: number, path: string) => `HTTP ${status}, GET ${path}`,
  },
  notFound: {
    sentence: say`There is no page at this address.`,
    help: "The fleet, the epochs and the refused inputs are linked above.",
  },
};

export type Messages = typeof en;

const de: Messages = {
  language: "de",
  states: { online: "online", degraded: "beeinträchtigt", offline: "offline", unheard: "nie gehört" },
  slots: {
    credited: "angerechnet",
    answered: "beantwortet",
    open: "offen",
    missed: "verpasst",
    void: "ungültig",
    ahead: "kommend",
  },
  slotMeanings: {
    credited: "zählt für den Knoten",
    answered: "Nachweis ist da, noch nicht beurteilt",
    open: "läuft gerade, noch kein Nachweis",
    missed: "kein gültiger Nachweis zur rechten Zeit",
    void: "zählt für niemanden",
    ahead: "hat noch nicht begonnen",
  },
  epochStates: {
    closed: "geschlossen, Wurzel noch nicht eingetragen",
    posted: "Wurzel eingetragen",
    settled: "abgerechnet, alles ausgezahlt",
    void: "ungültig",
  },
  evidenceLevels: {
    software: "Schlüssel in Software",
    "secure-element": "Sicherheitschip",
    "tpm-measured": "TPM, gemessener Start",
  },
  qualities: { good: "gut", uncertain: "unsicher", bad: "schlecht" },

  nav: { fleet: "Flotte", epochs: "Epochen", refused: "Abgelehnt", label: "Seiten", skip: "Zum Inhalt" },
  link: {
    connecting: "verbindet",
    live: "live",
    reconnecting: "verbindet neu",
    pausedAt: (time) => `angehalten um ${time}`,
    pause: "Anhalten",
    resume: "Weiter",
    pauseHint: "Hält fest, was zu sehen ist; nochmals drücken geht weiter",
  },
  spans: (span) => `${span.count} ${span.unit}`,
  ago: (span) => `vor ${span}`,
  justNow: "jetzt",
  never: "nie",
  unknown: "nicht angegeben",
  copy: "Kopieren",
  copied: "Kopiert",
  showAll: (count) => `Alle ${count} zeigen`,
  showLess: "Weniger zeigen",
  tryAgain: "Erneut versuchen",

  fleet: {
    title: "Flotte",
    question: "Verdient die Flotte?",
    empty: say`Noch ist kein Knoten angemeldet.`,
    emptyHelp: say`Tragen Sie den öffentlichen Schlüssel eines Geräts in die Teilnehmerliste des Koordinators ein und starten Sie ${command("cairn-node")} auf dem Gerät; es erscheint hier von selbst. Auf einem einzelnen Rechner startet ${command("npm start")} ein Netz mit eigenen Knoten.`,
    allEarning: (total) =>
      total === 1 ? say`Der einzige Knoten verdient.` : say`${total} von ${total} Knoten verdienen.`,
    notEarning: (count, total, causes) =>
      say`${count} von ${total} Knoten ${count === 1 ? "verdient" : "verdienen"} nicht: ${joined(causes, ", ")}.`,
    offline: (who, since, reason) =>
      say`${who} offline${since === null ? "" : say` seit ${since}`}${reason === null ? "" : say` (${reason})`}`,
    unheard: (who) => say`${who} nie gehört`,
    underFloor: (who, floor) => say`${who} in dieser Epoche unter der Mindestverfügbarkeit von ${floor}`,
    degraded: (who, since, reason) =>
      say`${who} beeinträchtigt${since === null ? "" : say` seit ${since}`}${reason === null ? "" : say`: ${reason}`}.`,
    workOnly: (who, floor) =>
      say`Unter der Mindestverfügbarkeit von ${floor}, in dieser Epoche also nur für Arbeit bezahlt: ${who}.`,
    voidSlots: (count) =>
      count === 1
        ? say`1 Abschnitt dieser Epoche ist ungültig: Er zählt für niemanden.`
        : say`${count} Abschnitte dieser Epoche sind ungültig: Sie zählen für niemanden.`,
    epoch: (epoch, slot, slots, rest) => `Epoche ${epoch}: Abschnitt ${slot} von ${slots}, endet in ${rest}`,
    epochEnded: (epoch) => `Epoche ${epoch}: alle Abschnitte vorbei, wird geschlossen`,
    search: "Name, Kennung, Betreiber, Zustand suchen",
    found: (count, total) => `${count} von ${total} Knoten`,
    notFound: (search) => `Kein Knoten passt zu „${search}“.`,
    clearSearch: "Suche löschen",
    columns: {
      node: "Knoten",
      state: "Zustand",
      heard: "Zuletzt gehört",
      slots: "Verfügbarkeit, diese Epoche",
      rate: "Messwerte/min",
      stored: "Gespeichert",
      refused: "Abgelehnt",
    },
    legend: "Abschnitte",
    since: (time) => say`seit ${time}`,
    heardBy: (topic) => `durch ${topic}`,
  },

  strip: {
    label: (epoch, words) => `Epoche ${epoch}: ${words}`,
    slot: (time, word, meaning) => `${time}: ${word}, ${meaning}`,
    count: (count, word) => `${count} ${word}`,
    score: (credited, judged) => `${credited}/${judged}`,
    scoreTitle: (credited, judged) => `${credited} von ${judged} bisher beurteilten angerechnet`,
  },

  node: {
    earning: (who, state, since, evidence) =>
      say`${who} verdient: ${state}${since === null ? "" : say` seit ${since}`}, ${evidence}.`,
    offline: (who, since, reason) =>
      say`${who} verdient nicht: offline${since === null ? "" : say` seit ${since}`}${reason === null ? "" : say` (${reason})`}.`,
    unheard: (who) => say`${who} verdient nicht: angemeldet, aber nie gehört.`,
    unheardHelp:
      "Starten Sie cairn-node auf dem Gerät mit der Beschreibung dieses Netzes und dem angemeldeten Schlüssel.",
    underFloor: (who, floor, missed) =>
      say`${who} verdient in dieser Epoche nicht: Mit ${missed} verpassten Abschnitten ist die Mindestverfügbarkeit von ${floor} nicht mehr zu erreichen.`,
    credited: (credited, judged) =>
      judged === 0
        ? say`noch kein Abschnitt dieser Epoche beurteilt`
        : say`${credited} von ${judged} Abschnitten dieser Epoche angerechnet`,
    readings: "Messwerte",
    range: "Zeitraum",
    ranges: { "5m": "5 min", "1h": "1 h", "6h": "6 h", "24h": "24 h" },
    noSeries: "Von diesem Knoten sind noch keine Messwerte gespeichert.",
    noSeriesHelp:
      "Sie entstehen durch eine Sensoraufgabe in den Einstellungen des Knotens; die ersten kommen Sekunden nach ihrem Start.",
    nothingInRange:
      "In diesem Zeitraum ist nichts gespeichert. Der letzte Wert steht oben; wählen Sie einen längeren Zeitraum.",
    plotLabel: (series, unit, range) =>
      `Verlauf von ${series}${unit === "" ? "" : ` in ${unit}`} über die letzten ${range}`,
    newestOnly: (count) => `Nur die neuesten ${count} Messwerte dieses Zeitraums sind gezeichnet.`,
    gapKey: "leer: verloren oder nicht gemessen",
    badKey: "schraffiert: der Knoten nennt seine Werte schlecht",
    identity: "Identität",
    evidence: "Nachweise",
    evidenceLevel: "Nachweisstufe",
    nodeId: "NodeId",
    operator: "Betreiber",
    algorithm: "Schlüssel",
    boot: "Start",
    bootCount: "Starts",
    software: "Software",
    profile: "Profil",
    capabilities: "Fähigkeiten",
    uptime: "Läuft seit",
    enrolled: "Angemeldet",
    verdicts: { time: "Zeit", slots: "Abschnitte", state: "Urteil", reason: "Grund" },
    showWhole: "Alle Epochen zeigen",
    acceptedAfter: (seconds) => `Nachweis ${seconds} s nach Beginn des Abschnitts angenommen.`,
    fromTo: (least, most) => `${least} bis ${most}`,
    epochName: (epoch) => `Epoche ${epoch}`,
    noVerdicts: "Noch ist kein Abschnitt beurteilt.",
    noVerdictsHelp: "Das erste Urteil kommt, wenn der laufende Abschnitt endet.",
    refused: "Abgelehnte Eingaben",
    noRefused: "Keine Eingabe dieses Knotens wurde abgelehnt.",
    rewards: "Vergütung",
    rewardColumns: { epoch: "Epoche", slots: "Abschnitte", void: "Ungültig", work: "Arbeit", amount: "Vergütung" },
    earned: (amount, symbol) => say`${amount} ${symbol} in allen Epochen verdient.`,
    noRewards: "Noch keine Vergütung.",
    noRewardsHelp: "Die erste kommt, wenn die laufende Epoche schließt.",
    notEnrolled: "Die Seite der Flotte nennt alle angemeldeten Knoten.",
  },

  epochs: {
    title: "Epochen",
    empty: say`Noch ist keine Epoche geschlossen.`,
    emptyHelp: (epoch, rest) => `Epoche ${epoch} läuft und endet in ${rest}; ihre Vergütung erscheint hier von selbst.`,
    emptyHelpEnded:
      "Die laufende Epoche schließt, sobald ihre Daten vollständig sind; ihre Vergütung erscheint hier von selbst.",
    allClaimed: (amount, symbol, count) =>
      say`${amount} ${symbol} in ${count} ${count === 1 ? "Epoche" : "Epochen"} geprägt, alles ausgezahlt.`,
    someClaimed: (amount, symbol, count, claimed, unclaimed) =>
      say`${amount} ${symbol} in ${count} ${count === 1 ? "Epoche" : "Epochen"} zuerkannt: ${claimed} ausgezahlt, ${unclaimed} noch offen.`,
    nonePosted: say`Noch steht von keiner Epoche die Wurzel auf der Kette.`,
    waiting: (count) =>
      count === 1
        ? say`1 geschlossene Epoche wartet auf den Eintrag ihrer Wurzel.`
        : say`${count} geschlossene Epochen warten auf den Eintrag ihrer Wurzeln.`,
    voided: (count) =>
      count === 1
        ? say`1 Epoche ist ungültig: Keiner ihrer Abschnitte zählt, also wird nichts eingetragen.`
        : say`${count} Epochen sind ungültig: Keiner ihrer Abschnitte zählt, also wird nichts eingetragen.`,
    columns: {
      epoch: "Epoche",
      time: "Zeit",
      state: "Zustand",
      nodes: "Knoten",
      slots: "Angerechnet",
      void: "Ungültig",
      tokens: "Token",
      transaction: "Transaktion",
      claims: "Auszahlungen",
    },
    slots: (credited, expected) => `${credited} von ${expected}`,
    claims: (count) => (count === 1 ? "1 Auszahlung" : `${count} Auszahlungen`),
    noClaims: "keine",
    notYet: "noch nicht",
    claimColumns: { operator: "Betreiber", amount: "Betrag", transaction: "Transaktion" },
    unclaimed: "noch nicht ausgezahlt",
    root: "Wurzel",
    evidenceHash: "Nachweisbündel",
  },

  refused: {
    title: "Abgelehnt",
    none: say`Keine Eingabe wurde abgelehnt.`,
    noneHelp: "Was ankommt und nicht angenommen werden kann, steht hier mit Grund und Abhilfe.",
    sentence: (total, kinds, worst, worstCount) =>
      kinds === 1
        ? say`${total} ${total === 1 ? "Eingabe wurde" : "Eingaben wurden"} abgelehnt: ${worst}.`
        : say`${total} Eingaben wurden aus ${kinds} Gründen abgelehnt, am häufigsten ${worst} (${worstCount}).`,
    byCode: "Nach Grund",
    latest: "Neueste",
    latestOf: (code) => `Neueste: ${code}`,
    all: "Alle Gründe zeigen",
    columns: {
      code: "Code",
      count: "Anzahl",
      meaning: "Was geschah",
      remedy: "Abhilfe",
      time: "Zeit",
      node: "Knoten",
    },
    bytes: (bytes) => `${bytes} Bytes`,
    noNode: "unbekannter Absender",
    noneOfCode: "Keine der neuesten Ablehnungen hat diesen Code.",
  },

  keys: {
    title: "Tasten",
    close: "Schließen",
    show: "Tasten",
    list: [
      ["g f", "zur Flotte"],
      ["g e", "zu den Epochen"],
      ["g r", "zu den abgelehnten Eingaben"],
      ["j  k", "nächster, voriger Knoten der Flotte"],
      ["Enter", "den Knoten öffnen"],
      ["/", "die Flotte durchsuchen"],
      ["p", "anhalten, weiter"],
      ["?", "diese Tasten zeigen"],
    ],
  },

  problem: {
    unreachable: "Der Koordinator antwortet nicht",
    unreachableDetail: (path) => `Keine Antwort auf GET ${path}.`,
    unreachableRemedy:
      "Prüfen Sie, ob er läuft und ob dieser Rechner ihn erreicht. Die Seite versucht es von selbst wieder.",
    serverRemedy: "Das Protokoll des Koordinators nennt zu dieser Zeit die Ursache.",
    requestRemedy: "Prüfen Sie die Adresse dieser Seite.",
    status: (status, path) => `HTTP ${status}, GET ${path}`,
  },
  notFound: {
    sentence: say`Unter dieser Adresse gibt es keine Seite.`,
    help: "Flotte, Epochen und abgelehnte Eingaben sind oben verlinkt.",
  },
};

/** The messages for a browser's language tag: German where it is German, else English. */
export function messagesFor(language: string): Messages {
  return language.toLowerCase().split("-")[0] === "de" ? de : en;
}
