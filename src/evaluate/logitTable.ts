/** Logits of one network for a list of images, f32, `[images, classes]` row by row. */
export interface LogitTable {
  readonly logits: Float32Array;
  readonly classes: number;
}
