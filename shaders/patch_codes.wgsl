// patch_codes: the codes pixel - 128 of every patch of uint8 images, as the left operand of the patch embedding (METHOD: patch
// embedding).
//
// pixels is uint8 [images][height][width][3] without gaps, four bytes a word; codes u32 [images][patches][words] with words =
// ceil(3 patch^2 / 4): patches row by row, inside one channel, then y, then x, as a flattened convolution weight; padding 0.
// height and width are multiples of the patch. Bit-exact.
//
// | binding | name   | space          | type       |
// |---------|--------|----------------|------------|
// | 0       | pixels | storage, read  | array<u32> |
// | 1       | codes  | storage, write | array<u32> |
// | 2       | params | uniform        | Params     |

override WORKGROUP_SIZE: u32 = 64;

struct Params {
  images: u32,
  height: u32,
  width: u32,
  patch_size: u32,
}

@group(0) @binding(0) var<storage, read> pixels: array<u32>;
@group(0) @binding(1) var<storage, read_write> codes: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP_SIZE)
fn patch_codes(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = gid.y * groups.x * WORKGROUP_SIZE + gid.x;
  let size = params.patch_size;
  let area = size * size;
  let words = (3u * area + 3u) / 4u;
  let across = params.width / size;
  let patches = across * (params.height / size);
  if (i >= params.images * patches * words) { return; }
  let row = i / words;
  let patch_index = row % patches;
  let top = row / patches * params.height + patch_index / across * size; // counted over all images
  let left = patch_index % across * size;
  var word = 0u;
  for (var j = 0u; j < 4u; j++) {
    let at = 4u * (i % words) + j;
    if (at >= 3u * area) { break; }
    let inside = at % area;
    let pixel = (top + inside / size) * params.width + left + inside % size;
    let byte = 3u * pixel + at / area;
    let value = (pixels[byte / 4u] >> (8u * (byte % 4u))) & 0xffu;
    word |= (value ^ 0x80u) << (8u * j); // pixel - 128 as a signed byte
  }
  codes[i] = word;
}
