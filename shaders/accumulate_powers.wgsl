// accumulate_powers: adds powers of gradients to running sums, over draws (Fisher) or over images (APHQ-ViT, equation 11).
//
// in   source  f32 [repeats][count]
// io   sums    f32 [count]: sums[i] + sum over r of |source[r, i]|^POWER
//
// POWER is 1 or 2. The terms are added one after another in the order of r, so that sums over several dispatches depend on the
// order of their terms alone, not on how they are split.
//
// | binding | name   | space          | type       |
// |---------|--------|----------------|------------|
// | 0       | source | storage, read  | array<f32> |
// | 1       | sums   | storage, write | array<f32> |
// | 2       | params | uniform        | Params     |

override WORKGROUP_SIZE: u32 = 64;
override POWER: u32 = 2;

struct Params {
  count: u32,
  repeats: u32,
}

@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn accumulate_powers(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = gid.y * groups.x * WORKGROUP_SIZE + gid.x;
  if (i >= params.count) { return; }
  var sum = sums[i];
  for (var r = 0u; r < params.repeats; r++) {
    let value = source[r * params.count + i];
    if (POWER == 1u) { sum += abs(value); } else { sum += value * value; }
  }
  sums[i] = sum;
}
