/** A calibration that cannot give a trustworthy recipe; the message names the layer and the number seen. */
export class CalibrationError extends Error {
  override readonly name = 'CalibrationError';
}
