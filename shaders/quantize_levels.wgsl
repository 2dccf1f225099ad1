// quantize_levels: the nearest of a table of integer levels, for many candidate tables at once (AdaLog, section 3).
//
// in   source      f32 [rows][depth] from element offset; rows counts all images and heads
// in   thresholds  f32 [candidates][entries], ascending: value x has level i = how many of the first entries - 1 are <= x
// in   planes      u32 [candidates][entries]: the twin code of the upper plane of level i in byte 0, of the lower one in byte 1
// out  codes       u32 [candidates][rows][2][words], four codes a word, depth d in byte d % 4; words = ceil(depth / 4)
//
// entries is a power of two. Each row holds its upper plane, then its lower one, each padded to whole words with 0: one row of
// twin codes with shift 7 and twice the depth. Values are compared only, so the codes are bit-exact on every adapter. One
// invocation a word of both planes.
//
// | binding | name       | space          | type       |
// |---------|------------|----------------|------------|
// | 0       | source     | storage, read  | array<f32> |
// | 1       | thresholds | storage, read  | array<f32> |
// | 2       | planes     | storage, read  | array<u32> |
// | 3       | codes      | storage, write | array<u32> |
// | 4       | params     | uniform        | Params     |

override WORKGROUP_SIZE: u32 = 64;

struct Params {
  candidates: u32,
  rows: u32,
  depth: u32,
  offset: u32,
  entries: u32,
}

@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var<storage, read> thresholds: array<f32>;
@group(0) @binding(2) var<storage, read> planes: array<u32>;
@group(0) @binding(3) var<storage, read_write> codes: array<u32>;
@group(0) @binding(4) var<uniform> params: Params;

fn level_of(x: f32, first: u32) -> u32 {
  var at = first;
  for (var reach = params.entries / 2u; reach > 0u; reach /= 2u) {
    if (x >= thresholds[at + reach - 1u]) { at += reach; }
  }
  return at;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn quantize_levels(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let words = (params.depth + 3u) / 4u;
  let index = gid.y * groups.x * WORKGROUP_SIZE + gid.x;
  let line = index / words;
  let candidate = line / params.rows;
  if (candidate >= params.candidates) { return; }
  let row = line % params.rows;
  let word = index % words;
  var upper = 0u;
  var lower = 0u;
  for (var lane = 0u; lane < 4u; lane++) {
    let d = word * 4u + lane;
    if (d < params.depth) {
      let both = planes[level_of(source[params.offset + row * params.depth + d], candidate * params.entries)];
      upper |= (both & 0xffu) << (8u * lane);
      lower |= ((both >> 8u) & 0xffu) << (8u * lane);
    }
  }
  codes[line * 2u * words + word] = upper;
  codes[line * 2u * words + words + word] = lower;
}
