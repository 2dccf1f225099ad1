// histogram: counts of the values of a strided view by sign and magnitude, in bins of one width a head.
//
// in      source          f32, element (image, head, row, column) at offset + image * image_stride + head * head_stride
//                         + row * row_stride + column
// in      inverse_widths  f32 [heads], 1 / width of a bin
// in out  counts          u32 [heads][2 * bins], added to: magnitudes in bin m = min(floor(|x| * inverse_width), bins - 1) count in
//                         element bins + m, or bins - 1 - m when x < 0: element order is value order
//
// The product is one correctly rounded f32 multiplication and additions of integers commute, so the counts are the same on every
// adapter and for every cut of the images. 64 lanes take 32 rows; a lane adds a run of values of one bin at once, since nearly all
// probabilities of attention share the first.
//
// | binding | name           | space          | type               |
// |---------|----------------|----------------|--------------------|
// | 0       | source         | storage, read  | array<f32>         |
// | 1       | inverse_widths | storage, read  | array<f32>         |
// | 2       | counts         | storage, write | array<atomic<u32>> |
// | 3       | params         | uniform        | Params             |

const LANES: u32 = 64;
const ROWS_PER_GROUP: u32 = 32;

struct Params {
  images: u32,
  heads: u32,
  rows: u32,
  columns: u32,
  bins: u32,
  offset: u32,
  image_stride: u32,
  head_stride: u32,
  row_stride: u32,
}

@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var<storage, read> inverse_widths: array<f32>;
@group(0) @binding(2) var<storage, read_write> counts: array<atomic<u32>>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn histogram(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_id) local: vec3<u32>,
) {
  let groups = (params.rows + ROWS_PER_GROUP - 1u) / ROWS_PER_GROUP;
  let index = workgroup.y * workgroups.x + workgroup.x;
  let batch = index / groups;
  if (batch >= params.images * params.heads) { return; }
  let head = batch % params.heads;
  let first = params.offset + batch / params.heads * params.image_stride + head * params.head_stride;
  let inverse = inverse_widths[head];
  let middle = head * 2u * params.bins + params.bins;
  let end = min((index % groups + 1u) * ROWS_PER_GROUP, params.rows);
  var at = middle;
  var run = 0u;
  for (var row = index % groups * ROWS_PER_GROUP; row < end; row++) {
    for (var column = local.x; column < params.columns; column += LANES) {
      let x = source[first + row * params.row_stride + column];
      // clamped as a float: a large float has no u32
      let bin = u32(min(floor(abs(x) * inverse), f32(params.bins - 1u)));
      let next = select(middle + bin, middle - 1u - bin, x < 0.0);
      if (next != at) {
        if (run > 0u) { atomicAdd(&counts[at], run); }
        at = next;
        run = 0u;
      }
      run++;
    }
  }
  if (run > 0u) { atomicAdd(&counts[at], run); }
}
