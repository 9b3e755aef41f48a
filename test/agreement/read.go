// Lists tar archives with Go's archive/tar, which is what containerd unpacks by: four bytes of length and an archive in, one line of
// JSON out, until the input ends.
package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

var types = map[byte]string{'0': "file", 0: "file", '1': "hardlink", '2': "symlink", '3': "character", '4': "block", '5': "directory", '6': "fifo"}

type account struct {
	Members [][]any `json:"members"`
	Error   *string `json:"error"`
}

func list(data []byte) account {
	result := account{Members: [][]any{}}
	failed := func(err error) account {
		text := err.Error()
		result.Error = &text
		return result
	}
	reader := tar.NewReader(bytes.NewReader(data))
	for {
		h, err := reader.Next()
		if err == io.EOF {
			return result
		}
		if err != nil {
			return failed(err)
		}
		// containerd passes over global headers.
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		kind, known := types[h.Typeflag]
		if !known {
			kind = fmt.Sprintf("unknown %q", h.Typeflag)
		}
		if kind == "file" {
			if _, err := io.Copy(io.Discard, reader); err != nil {
				return failed(err)
			}
		}
		result.Members = append(result.Members, []any{kind, hex.EncodeToString([]byte(h.Name)), hex.EncodeToString([]byte(h.Linkname)),
			h.Size, h.Mode, h.Uid, h.Gid, h.ModTime.Unix(), h.Devmajor, h.Devminor})
	}
}

func main() {
	in := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	for {
		var length uint32
		if binary.Read(in, binary.BigEndian, &length) != nil {
			return
		}
		data := make([]byte, length)
		if _, err := io.ReadFull(in, data); err != nil {
			panic(err)
		}
		if err := out.Encode(list(data)); err != nil {
			panic(err)
		}
	}
}
