// assemble_tokens_f32: y = [prefix tokens; x] + position for every image, f32. One addition per element.
//
// x is [images, rows, features], prefix [prefix_rows, features], position and each image of y [prefix_rows + rows, features].
//
// | binding | name     | space          | type       |
// |---------|----------|----------------|------------|
// | 0       | x        | storage, read  | array<f32> |
// | 1       | prefix   | storage, read  | array<f32> |
// | 2       | position | storage, read  | array<f32> |
// | 3       | y        | storage, write | array<f32> |
// | 4       | params   | uniform        | Params     |

override WORKGROUP_SIZE: u32 = 64;

struct Params {
  images: u32,
  rows: u32,
  prefix_rows: u32,
  features: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> prefix: array<f32>;
@group(0) @binding(2) var<storage, read> position: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn assemble_tokens_f32(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = gid.y * groups.x * WORKGROUP_SIZE + gid.x;
  let head = params.prefix_rows * params.features;
  let elements = head + params.rows * params.features;
  if (i >= params.images * elements) { return; }
  let image = i / elements;
  let at = i - image * elements;
  var token = 0.0;
  if (at < head) { token = prefix[at]; } else { token = x[image * params.rows * params.features + at - head]; }
  y[i] = token + position[at];
}
