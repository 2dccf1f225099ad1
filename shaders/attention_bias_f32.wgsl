// attention_bias_f32: relative position bias and mask of windowed attention (Swin, section 3.2).
//
// y = scale * x + table[pairs[i, j], head] - 100 where a mask is given and regions[window, i] and regions[window, j] differ.
//
// in   x        f32 [images][windows][heads][tokens][tokens]
// in   table    f32 [(2 window - 1)^2][heads]
// in   pairs    u32 [tokens][tokens]     row of the table
// in   regions  u32 [windows][tokens]    not read without a mask
// out  y        f32, as x
//
// f32, NMSE < 1e-12.
//
// | binding | name    | space          | type       |
// |---------|---------|----------------|------------|
// | 0       | x       | storage, read  | array<f32> |
// | 1       | table   | storage, read  | array<f32> |
// | 2       | pairs   | storage, read  | array<u32> |
// | 3       | regions | storage, read  | array<u32> |
// | 4       | y       | storage, write | array<f32> |
// | 5       | params  | uniform        | Params     |

override WORKGROUP_SIZE: u32 = 64;

struct Params {
  images: u32,
  windows: u32,
  heads: u32,
  tokens: u32,
  masked: u32,
  scale: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var<storage, read> pairs: array<u32>;
@group(0) @binding(3) var<storage, read> regions: array<u32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn attention_bias_f32(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let n = params.tokens;
  let at = gid.y * groups.x * WORKGROUP_SIZE + gid.x;
  if (at >= params.images * params.windows * params.heads * n * n) { return; }
  let line = at / n;
  let matrix = line / n;
  let pair = at - matrix * n * n;
  let window = matrix / params.heads;
  var bias = table[pairs[pair] * params.heads + matrix - window * params.heads];
  let first = window % params.windows * n;
  if (params.masked != 0u && regions[first + line - matrix * n] != regions[first + at - line * n]) { bias -= 100.0; }
  y[at] = params.scale * x[at] + bias;
}
