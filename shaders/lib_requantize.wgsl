// What follows the sums of `matmul_requantize` and its variants: bias, rescale, residual, clamp and packing of 4 rows x 4 columns.
// Names of the kernel that it is appended to: params, bias, rescale, residual, y, OUTPUT, HAS_BIAS, HAS_RESIDUAL.

// The four columns of a lane, from number `lane` of a strip of `columns`: adjacent where a word holds several columns, else
// spread over the strip, so that lanes read B side by side.
fn lane_columns(first: u32, lane: u32, lanes: u32) -> vec4<u32> {
  if (OUTPUT == 0u || OUTPUT == 2u) { return vec4<u32>(first + 4u * lane) + vec4<u32>(0u, 1u, 2u, 3u); }
  return vec4<u32>(first + lane) + vec4<u32>(0u, lanes, 2u * lanes, 3u * lanes);
}

fn rescaled_code(acc: i32, dyadic: vec2<u32>) -> i32 {
  return clamp(dyadic_rescale_8(acc, dyadic.x, dyadic.y), params.qmin, params.qmax);
}

fn rescaled_16(acc: i32, dyadic: vec2<u32>, left: i32) -> i32 {
  var value = dyadic_rescale_int16(acc, dyadic.x, dyadic.y);
  if (HAS_RESIDUAL == 1u) {
    let term = dyadic_rescale_term(left, params.residual_multiplier, params.residual_shift);
    value = clamp(value + term, -32768i, 32767i); // a value past 2^17 stays past 2^15
  }
  return clamp(value, params.qmin, params.qmax);
}

// Bias and rescale of the four columns of a lane, read once for all its rows.
struct ColumnScales {
  bias: vec4<i32>,
  d0: vec2<u32>,
  d1: vec2<u32>,
  d2: vec2<u32>,
  d3: vec2<u32>,
}

fn column_scales(head: u32, column: vec4<u32>) -> ColumnScales {
  var scales: ColumnScales;
  let inside = min(column, vec4<u32>(params.columns - 1u));
  if (HAS_BIAS == 1u) {
    let at = vec4<u32>(params.bias_offset + head * params.bias_head_stride) + inside;
    scales.bias = vec4<i32>(bias[at.x], bias[at.y], bias[at.z], bias[at.w]);
  }
  if (OUTPUT != 3u) {
    let first = params.rescale_offset + head * params.rescale_head_stride;
    let at = vec4<u32>(first) + inside * params.rescale_column_stride;
    scales.d0 = rescale[at.x];
    scales.d1 = rescale[at.y];
    scales.d2 = rescale[at.z];
    scales.d3 = rescale[at.w];
  }
  return scales;
}

fn four_codes(acc: vec4<i32>, scales: ColumnScales) -> vec4<i32> {
  return vec4<i32>(
    rescaled_code(acc.x, scales.d0),
    rescaled_code(acc.y, scales.d1),
    rescaled_code(acc.z, scales.d2),
    rescaled_code(acc.w, scales.d3),
  );
}

fn write_codes(sum: vec4<i32>, row: u32, column: vec4<u32>, first: u32, scales: ColumnScales) {
  let word = pack4xI8(select(vec4<i32>(0i), four_codes(sum, scales), column < vec4<u32>(params.columns)));
  y[first + row * params.y_row_stride + column.x / 4u * params.y_column_stride] = word;
}

fn write_16(sum: vec4<i32>, row: u32, column: vec4<u32>, image: u32, head: u32, first: u32, scales: ColumnScales) {
  let at = row * params.y_row_stride + column.x / 2u * params.y_column_stride;
  var left01 = vec2<i32>(0i);
  var left23 = vec2<i32>(0i);
  if (HAS_RESIDUAL == 1u) {
    let source = params.residual_offset + image * params.y_image_stride + head * params.y_head_stride + at;
    let last = arrayLength(&residual) - 1u;
    left01 = unpack_2xi16(residual[min(source, last)]);
    left23 = unpack_2xi16(residual[min(source + params.y_column_stride, last)]);
  }
  let values = vec4<i32>(
    rescaled_16(sum.x, scales.d0, left01.x),
    rescaled_16(sum.y, scales.d1, left01.y),
    rescaled_16(sum.z, scales.d2, left23.x),
    rescaled_16(sum.w, scales.d3, left23.y),
  );
  let inside = column < vec4<u32>(params.columns);
  let kept = select(vec4<i32>(0i), values, inside);
  y[first + at] = pack_2xi16(kept.xy);
  if (inside.z) { y[first + at + params.y_column_stride] = pack_2xi16(kept.zw); }
}

fn write_sums(sum: vec4<i32>, row: u32, column: vec4<u32>, first: u32) {
  let inside = column < vec4<u32>(params.columns);
  let at = vec4<u32>(first + row * params.y_row_stride) + column * params.y_column_stride;
  if (inside.x) { y[at.x] = bitcast<u32>(sum.x); }
  if (inside.y) { y[at.y] = bitcast<u32>(sum.y); }
  if (inside.z) { y[at.z] = bitcast<u32>(sum.z); }
  if (inside.w) { y[at.w] = bitcast<u32>(sum.w); }
}

// Sums of rows row0 .. row0 + 3 (row0 a multiple of 4) in the columns of `lane_columns`; rows and columns past the last are skipped.
fn finish_rows(acc: array<vec4<i32>, 4>, image: u32, head: u32, row0: u32, column: vec4<u32>, scales: ColumnScales) {
  if (row0 >= params.rows || column.x >= params.columns) { return; }
  let first = params.y_offset + image * params.y_image_stride + head * params.y_head_stride;
  let s0 = acc[0] + scales.bias;
  let s1 = acc[1] + scales.bias;
  let s2 = acc[2] + scales.bias;
  let s3 = acc[3] + scales.bias;
  let inside_row = vec4<u32>(row0) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.rows);
  if (OUTPUT == 0u) {
    write_codes(s0, row0, column, first, scales);
    if (inside_row.y) { write_codes(s1, row0 + 1u, column, first, scales); }
    if (inside_row.z) { write_codes(s2, row0 + 2u, column, first, scales); }
    if (inside_row.w) { write_codes(s3, row0 + 3u, column, first, scales); }
  } else if (OUTPUT == 1u) {
    let zero = vec4<i32>(0i);
    let c0 = four_codes(s0, scales);
    let c1 = select(zero, four_codes(s1, scales), inside_row.y);
    let c2 = select(zero, four_codes(s2, scales), inside_row.z);
    let c3 = select(zero, four_codes(s3, scales), inside_row.w);
    let at = vec4<u32>(first + row0 / 4u * params.y_row_stride) + column * params.y_column_stride;
    let inside = column < vec4<u32>(params.columns);
    y[at.x] = pack4xI8(vec4<i32>(c0.x, c1.x, c2.x, c3.x));
    if (inside.y) { y[at.y] = pack4xI8(vec4<i32>(c0.y, c1.y, c2.y, c3.y)); }
    if (inside.z) { y[at.z] = pack4xI8(vec4<i32>(c0.z, c1.z, c2.z, c3.z)); }
    if (inside.w) { y[at.w] = pack4xI8(vec4<i32>(c0.w, c1.w, c2.w, c3.w)); }
  } else if (OUTPUT == 2u) {
    write_16(s0, row0, column, image, head, first, scales);
    if (inside_row.y) { write_16(s1, row0 + 1u, column, image, head, first, scales); }
    if (inside_row.z) { write_16(s2, row0 + 2u, column, image, head, first, scales); }
    if (inside_row.w) { write_16(s3, row0 + 3u, column, image, head, first, scales); }
  } else {
    write_sums(s0, row0, column, first);
    if (inside_row.y) { write_sums(s1, row0 + 1u, column, first); }
    if (inside_row.z) { write_sums(s2, row0 + 2u, column, first); }
    if (inside_row.w) { write_sums(s3, row0 + 3u, column, first); }
  }
}
