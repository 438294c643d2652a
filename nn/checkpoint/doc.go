// Package checkpoint keeps the state of a run in a file that survives crashes:
// whatever happens to the process or the machine, and when, the last content
// that [Save] has acknowledged, or a newer one, can be loaded with the same bits.
//
// A [Run] is what training a model changes, as a content to save and to restore:
//
//	run, err := checkpoint.NewRun(model, session, opt)
//	epoch := int64(0)
//	loaded, err := checkpoint.Load(path)
//	if err == nil {
//		err = run.Restore(&loaded.Content)
//		epoch = loaded.Ints["epoch"]
//	}
//	if err != nil && !errors.Is(err, fs.ErrNotExist) {
//		log.Fatal(err) // not a reason to start anew
//	}
//
//	content := run.Content()
//	content.Ints["epoch"] = epoch // a caller's own
//	err = checkpoint.Save(path, content)
//
// [Run.SetEMA] adds averages of the weights. The learner of package serve saves
// itself.
//
// # Files
//
// A checkpoint at path is up to two files: path itself, and path.prev, the one
// that was there before. Save writes the new content to path.tmp, syncs it, gives
// the old file its second name, renames, and syncs the directory. A process that
// is killed on the way leaves path.tmp, and sometimes path.prev.tmp; the next
// Save or [Load] removes them. While Save works, the directory holds up to three
// contents.
//
// Load takes path, or path.prev where path is missing or damaged, and tells
// which. An error that is [io/fs.ErrNotExist] means that there is no file at all;
// no other error should be taken for a reason to start anew.
//
// Goroutines and processes may save to the same path and load from it at the
// same time: saves come one after the other, and a load gets a whole content.
// (Between processes that needs flock, which Unix systems have.)
//
// # Format
//
// The file is of the safetensors format, so Python reads it. In its metadata
// "format" is "adafisher checkpoint" and "version" is "1". The other members of
// the metadata and the tensors are the content:
//
//	vectors/NAME    F32, one dimension
//	floats/NAME     F64 scalar
//	ints/NAME       I64 scalar
//	uints/NAME      U64 scalar
//	bytes/NAME      U8, one dimension
//	strings/NAME    member of the metadata
//	metadata        member of the metadata, a JSON text
//
// The last 32 bytes of the file are the tensor "sha256", U8: the SHA-256 of all
// bytes before them. The checksum is checked before the version; it is at the
// same place in every version.
package checkpoint
