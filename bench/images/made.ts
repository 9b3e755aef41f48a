/** Images that are hard in one way each: many files, many bytes, many layers. The same on every machine. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { createRandom, type Random } from '../../test/support/random.ts'
import type { Maker } from './images.ts'

const KB = 1_000
const MB = 1_000_000
/** Longer than the windows of compressors, which would find a shorter one again. */
const TEXT = 16 * MB

/** 60,000 files of 0.5 to 6 KB in 600 directories: a tree of scripts and their sources. */
export const smallFiles: Maker = async (dir, say, { signal }) => {
  say('60,000 files')
  const random = createRandom(1)
  const text = prose(random, TEXT)
  for (let folder = 0; folder < 600; folder++) {
    const at = join(dir, 'tree', `package-${folder % 40}`, `part-${folder}`)
    mkdirSync(at, { recursive: true })
    for (let file = 0; file < 100; file++)
      writeFileSync(join(at, `module-${file}.js`), cut(random, text, 500 + random.below(5_500)))
    await turn()
    signal.throwIfAborted()
  }
  return [dir]
}

/** More than 500 MB on the way: twelve files, half of whose bytes nobody can compress. */
export const bigLayer: Maker = async (dir, say, { signal }) => {
  say('1 GB in twelve files')
  const random = createRandom(2)
  const text = prose(random, TEXT)
  const noise = random.bytes(8 * MB)
  for (let file = 0; file < 12; file++) {
    const content = Buffer.alloc(90 * MB)
    for (let at = 0; at < content.length; at += MB) {
      if (at % (2 * MB) === 0) cut(random, text, MB).copy(content, at)
      else scrambled(random, noise, MB).copy(content, at)
    }
    writeFileSync(join(dir, `model-${file}.bin`), content)
    await turn()
    signal.throwIfAborted()
  }
  return [dir]
}

/** 40 layers of 100 files of 10 to 90 KB. */
export const fortyLayers: Maker = async (dir, say, { signal }) => {
  say('40 layers of 100 files')
  const random = createRandom(3)
  const text = prose(random, TEXT)
  const layers: string[] = []
  for (let layer = 0; layer < 40; layer++) {
    const top = join(dir, `layer-${layer}`)
    const at = join(top, 'srv', `part-${layer}`)
    mkdirSync(at, { recursive: true })
    for (let file = 0; file < 100; file++)
      writeFileSync(join(at, `file-${file}`), cut(random, text, (10 + random.below(80)) * KB))
    layers.push(top)
    await turn()
    signal.throwIfAborted()
  }
  return layers
}

/** Text that compresses to a third, as sources do: words of a small vocabulary, each followed by a rare one now and then. */
function prose(random: Random, length: number): Buffer {
  const words = Array.from({ length: 4_000 }, () => random.bytes(2 + random.below(3)).toString('hex'))
  const parts: string[] = []
  for (let size = 0; size < length; ) {
    const word = `${words[Math.min(random.below(4_000), random.below(4_000))] ?? ''}${random.chance(0.1) ? '\n' : ' '}`
    parts.push(word)
    size += word.length
  }
  return Buffer.from(parts.join('')).subarray(0, length)
}

/** So many bytes from somewhere in `text`. */
const cut = (random: Random, text: Buffer, length: number): Buffer => {
  const from = random.below(text.length - length)
  return text.subarray(from, from + length)
}

/** Noise that was not there before: a piece of `noise` with every word changed alike, too far from its like for any window. */
function scrambled(random: Random, noise: Buffer, length: number): Buffer {
  const from = 4 * random.below((noise.length - length) / 4)
  const piece = Buffer.from(noise.subarray(from, from + length))
  const words = new Uint32Array(piece.buffer, piece.byteOffset, length / 4)
  const key = random.below(2 ** 32)
  for (let at = 0; at < words.length; at++) words[at] = (words[at] ?? 0) ^ key
  return piece
}
