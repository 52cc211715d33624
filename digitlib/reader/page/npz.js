/* Arrays of bytes as numpy's .npz: a zip, stored and not packed, of one .npy file each.
   arrays: by name, { shape: [n, ...], bytes: Uint8Array } */
export function npz(arrays) {
  const parts = [];
  const directory = [];
  for (const [name, { shape, bytes }] of Object.entries(arrays)) {
    const file = text(`${name}.npy`);
    const content = npy(shape, bytes);
    const about = [20, 0, 0, 0, 0].map((value) => number(value, 2));
    about.push(number(crc32(content), 4), number(content.length, 4), number(content.length, 4));
    about.push(number(file.length, 2), number(0, 2));
    const start = number(size(parts), 4);
    directory.push(number(0x02014b50, 4), number(20, 2), ...about, new Uint8Array(10), start, file);
    parts.push(number(0x04034b50, 4), ...about, file, content);
  }
  const count = number(Object.keys(arrays).length, 2);
  const place = [number(size(directory), 4), number(size(parts), 4), number(0, 2)];
  const end = [number(0x06054b50, 4), number(0, 4), count, count, ...place];
  return new Blob([...parts, ...directory, ...end], { type: "application/zip" });
}

function npy(shape, bytes) {
  const header = `{'descr': '|u1', 'fortran_order': False, 'shape': (${shape},), }`;
  const padded = text(`${header.padEnd(117)}\n`); // with what comes before it, 128 bytes
  const start = [0x93, ...text("NUMPY"), 1, 0, ...number(padded.length, 2)];
  return new Uint8Array([...start, ...padded, ...bytes]);
}

function number(value, length) {
  return Uint8Array.from({ length }, (_, i) => value >>> (8 * i));
}

function text(string) {
  return new TextEncoder().encode(string);
}

function size(parts) {
  return parts.reduce((sum, part) => sum + part.length, 0);
}

function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}
