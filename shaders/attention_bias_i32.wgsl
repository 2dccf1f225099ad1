// attention_bias_i32: adds the relative position bias to the integer scores Q.K^T of windowed attention and marks the masked ones
// (Swin, section 3.2; METHOD: integer-only inference).
//
// in   scores   i32 [groups][heads][tokens][tokens], groups = images * windows, windows innermost
// in   index    u32 [tokens][tokens]: the entry of the bias of a pair, below `entries`
// in   values   i32 [heads][entries], in units of the scores of a head
// in   regions  u32 [windows][tokens]; not read where MASKED is 0
// out  y        i32 like scores: score + bias cut to -(2^31 - 1) .. 2^31 - 1, or -2^31, which softmax leaves out, where the
//               regions of the two tokens differ and where the score is -2^31
// Integers only, bit-exact on every adapter.
//
// | binding | name    | space          | type       |
// |---------|---------|----------------|------------|
// | 0       | scores  | storage, read  | array<i32> |
// | 1       | index   | storage, read  | array<u32> |
// | 2       | values  | storage, read  | array<i32> |
// | 3       | regions | storage, read  | array<u32> |
// | 4       | y       | storage, write | array<i32> |
// | 5       | params  | uniform        | Params     |

override WORKGROUP_SIZE: u32 = 64;
override MASKED: u32 = 0;

struct Params {
  groups: u32,
  windows: u32,
  heads: u32,
  tokens: u32,
  entries: u32,
}

@group(0) @binding(0) var<storage, read> scores: array<i32>;
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read> values: array<i32>;
@group(0) @binding(3) var<storage, read> regions: array<u32>;
@group(0) @binding(4) var<storage, read_write> y: array<i32>;
@group(0) @binding(5) var<uniform> params: Params;

const LOWEST = -2147483647i - 1i;

// a + b cut to 32 bits but for their lowest, which marks what is masked.
fn bounded_sum(a: i32, b: i32) -> i32 {
  let sum = a + b; // wraps where it overflows: then its sign is neither's
  let wrapped = ((a ^ sum) & (b ^ sum)) < 0;
  return select(max(sum, LOWEST + 1i), select(2147483647i, LOWEST + 1i, a < 0), wrapped);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn attention_bias_i32(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = gid.y * groups.x * WORKGROUP_SIZE + gid.x;
  let area = params.tokens * params.tokens;
  if (i >= params.groups * params.heads * area) { return; }
  let pair = i % area;
  let matrix = i / area;
  var masked = scores[i] == LOWEST;
  if (MASKED == 1u) {
    let first = matrix / params.heads % params.windows * params.tokens;
    masked = masked || regions[first + pair / params.tokens] != regions[first + pair % params.tokens];
  }
  let bias = values[matrix % params.heads * params.entries + index[pair]];
  y[i] = select(bounded_sum(scores[i], bias), LOWEST, masked);
}
