// Opens a WebGPU device the way the program does and prints {"adapter": <name or null>}; run in a process of its own.
import { create } from 'webgpu';

/** @type {GPU | undefined} */
let gpu = create([]);
const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
const device = await adapter?.requestDevice();
const { vendor, architecture, description } = adapter?.info ?? {};
console.log(
  JSON.stringify({ adapter: adapter ? [vendor, architecture, description].filter(Boolean).join(', ') : null }),
);
device?.destroy();
gpu = undefined; // while it is reachable the process does not end
