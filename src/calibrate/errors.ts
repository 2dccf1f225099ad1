/** A calibration that cannot give a trustworthy recipe; the message names the layer and the number seen. */
export class CalibrationError extends Error {
  override readonly name = 'CalibrationError';
}

/** Options that no calibration of the model can carry out; the message names the layer, or the pattern of a rule, and what to change. */
export class OptionsError extends Error {
  override readonly name = 'OptionsError';
}
