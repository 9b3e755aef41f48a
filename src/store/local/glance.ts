/** The database of a root as it is, whoever has it: looked at, and left as it was. */
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { exists } from './commit.ts'
import { layoutOf } from './layout.ts'
import { layerRow } from './records.ts'

/** The layers of a root that are known to be damaged; none where there is no store, or one that an earlier version made. */
export function damagedLayersIn(root: string): readonly { readonly id: string; readonly first: string }[] {
  const { database } = layoutOf(root)
  if (!exists(database)) return []
  // Without a journal nobody has it open; a reader would make one and leave it (sqlite.org/wal.html, "Read-Only Databases").
  const url = pathToFileURL(database)
  if (!exists(`${database}-wal`)) url.searchParams.set('immutable', '1')
  const db = new DatabaseSync(url, { readOnly: true })
  try {
    const columns = db.prepare('PRAGMA table_info(layers)').all()
    if (!columns.some(({ name }) => name === 'damage')) return []
    return db
      .prepare('SELECT * FROM layers WHERE damage IS NOT NULL')
      .all()
      .flatMap((row) => {
        const { data } = layerRow.safeParse(row)
        return data?.damage === undefined ? [] : [{ id: data.id, first: data.damage.first }]
      })
  } finally {
    db.close()
  }
}
