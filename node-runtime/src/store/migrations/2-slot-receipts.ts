/** Verifiers' signed bytes as they came: what the node can show when it was under-counted. */
export const slotReceiptsMigration = `
CREATE TABLE slot_receipt (
  epoch INTEGER NOT NULL,
  verifier TEXT NOT NULL,
  credited INTEGER NOT NULL,
  message BLOB NOT NULL,
  PRIMARY KEY (epoch, verifier)
) STRICT, WITHOUT ROWID;
`;
