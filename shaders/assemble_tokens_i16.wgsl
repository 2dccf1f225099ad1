// assemble_tokens_i16: y = [prefix; x + position] for every image on 16-bit integers of one scale, sums saturated (METHOD:
// integer-only inference, residual stream).
//
// x is [images][rows][words], int16 two a word; tokens [prefix_rows + rows][words]: the prefix tokens with their position already
// added, then the positions of the rows; each image of y [prefix_rows + rows][words]. Bit-exact.
//
// | binding | name   | space          | type       |
// |---------|--------|----------------|------------|
// | 0       | x      | storage, read  | array<u32> |
// | 1       | tokens | storage, read  | array<u32> |
// | 2       | y      | storage, write | array<u32> |
// | 3       | params | uniform        | Params     |

override WORKGROUP_SIZE: u32 = 64;

struct Params {
  images: u32,
  rows: u32,
  prefix_rows: u32,
  words: u32,
}

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn assemble_tokens_i16(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = gid.y * groups.x * WORKGROUP_SIZE + gid.x;
  let prefix = params.prefix_rows * params.words;
  let body = params.rows * params.words;
  if (i >= params.images * (prefix + body)) { return; }
  let image = i / (prefix + body);
  let at = i % (prefix + body);
  var token = unpack_2xi16(tokens[at]);
  if (at >= prefix) {
    let patch_row = unpack_2xi16(x[image * body + at - prefix]);
    token = vec2<i32>(saturating_add_16(token.x, patch_row.x), saturating_add_16(token.y, patch_row.y));
  }
  y[i] = pack_2xi16(token);
}
