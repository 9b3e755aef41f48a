/**
 * The database's schema as the list of steps that lead to it; `user_version` counts those taken. Steps are only ever added.
 *
 * Foreign keys hold what must never break: no image without its layers, no layer without its parent. Names order by rowid: a name that
 * is given again is inserted anew and so becomes the newest.
 */
export const migrations: readonly string[] = [
  `CREATE TABLE layers (
     id           TEXT PRIMARY KEY,
     diff_id      TEXT NOT NULL,
     parent       TEXT REFERENCES layers (id),
     diff_size    INTEGER NOT NULL,
     entries      INTEGER NOT NULL,
     whiteouts    INTEGER NOT NULL,
     implied      TEXT NOT NULL,
     used_bytes   INTEGER NOT NULL,
     inodes_used  INTEGER NOT NULL,
     committed_at INTEGER NOT NULL
   ) STRICT;
   CREATE INDEX layers_parent ON layers (parent);

   CREATE TABLE images (
     id             TEXT PRIMARY KEY,
     top_layer      TEXT REFERENCES layers (id),
     manifest       TEXT NOT NULL,
     config         TEXT NOT NULL,
     config_bytes   BLOB NOT NULL,
     manifest_bytes BLOB NOT NULL,
     index_bytes    BLOB,
     layers         TEXT NOT NULL,
     pulled_at      INTEGER NOT NULL,
     pinned         INTEGER NOT NULL
   ) STRICT;
   CREATE INDEX images_top_layer ON images (top_layer);

   CREATE TABLE tags (
     name  TEXT PRIMARY KEY,
     image TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE
   ) STRICT;
   CREATE INDEX tags_image ON tags (image);

   -- Asked: somebody pulled by this very digest, so it stays when the tags go. Otherwise it came along with a tag.
   CREATE TABLE digests (
     name  TEXT NOT NULL,
     image TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
     asked INTEGER NOT NULL,
     PRIMARY KEY (name, image)
   ) STRICT;
   CREATE INDEX digests_image ON digests (image)`,

  `-- What layers.json repeats beside the rest. Null in rows from before: not known. The blob is a descriptor, the owners are every uid and gid
   -- in the tree.
   ALTER TABLE layers ADD COLUMN blob TEXT;
   ALTER TABLE layers ADD COLUMN owners TEXT`,

  `-- Needed until a layer is committed and never again; a hostile one fills it with megabytes.
   ALTER TABLE layers DROP COLUMN implied`,

  `-- Who wants an image kept, and when each was last in use: what nobody wants goes in that order.
   CREATE TABLE pins (
     image  TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
     owner  TEXT NOT NULL,
     reason TEXT NOT NULL,
     since  INTEGER NOT NULL,
     until  INTEGER,
     PRIMARY KEY (image, owner)
   ) STRICT;
   ALTER TABLE images ADD COLUMN used_at INTEGER;
   ALTER TABLE images DROP COLUMN pinned`,

  `-- What a verification found, as JSON; null in layers that nothing is known against.
   ALTER TABLE layers ADD COLUMN damage TEXT`,

  `-- Counts the changes that layers.json and images.json repeat, so that a database which has lost some is found out.
   CREATE TABLE edition (number INTEGER NOT NULL) STRICT;
   INSERT INTO edition VALUES (0)`,

  `-- Who pulled each image, as JSON. Images from before, and those that were rebuilt, have no row until they are pulled again.
   CREATE TABLE receipts (
     image TEXT PRIMARY KEY REFERENCES images (id) ON DELETE CASCADE,
     kept  TEXT NOT NULL
   ) STRICT`,
]
