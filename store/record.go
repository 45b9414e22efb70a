package store

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
)

// A Record is a record as it was read, opened.
type Record struct {
	Kind   Kind
	Parent RID
	ID     RID
	// Name is the record's name as it was first written.
	Name string
	// Version changes with every write; it makes ETags.
	Version uint64
	Clear   Clear

	body []byte
}

// Decode reads the record's contents into v.
func (r *Record) Decode(v any) error {
	if err := json.Unmarshal(r.body, v); err != nil {
		return fmt.Errorf("reading a record of kind %d: %w", r.Kind, err)
	}
	return nil
}

// plain is what gets sealed: the name's length, the name, the contents as JSON. It
// returns where the contents start.
func plain(name string, v any) (b []byte, start int, err error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, 0, fmt.Errorf("writing a record: %w", err)
	}
	b = make([]byte, 0, binary.MaxVarintLen64+len(name)+len(body))
	b = binary.AppendUvarint(b, uint64(len(name)))
	b = append(b, name...)
	return append(b, body...), len(b), nil
}

// nameSize is the length of a name row's value: kind, parent, place.
const nameSize = 1 + 16 + 16

func nameValue(r *Record) []byte {
	b := make([]byte, 0, nameSize)
	b = append(b, byte(r.Kind))
	b = append(b, r.Parent[:]...)
	return append(b, r.ID[:]...)
}

// openRow opens the row of a record.
func openRow(sealer Sealer, space Space, row Row) (*Record, error) {
	if len(row.Key) != recordKeySize {
		return nil, fmt.Errorf("a record in space %x has no place", space)
	}
	r := &Record{Kind: Kind(row.Key[17]), Version: row.Version}
	copy(r.Parent[:], row.Key[18:34])
	copy(r.ID[:], row.Key[34:50])
	if len(row.Value) < clearSize {
		return nil, fmt.Errorf("record of kind %d in space %x does not open: it is cut off", r.Kind, space)
	}
	fields, sealed := row.Value[:clearSize], row.Value[clearSize:]
	b, err := sealer.Open(binding(row.Key, fields), sealed)
	if err != nil {
		return nil, fmt.Errorf("record of kind %d in space %x does not open: %w", r.Kind, space, err)
	}
	r.Clear = parseClear(fields)
	n, size := binary.Uvarint(b)
	if size <= 0 || uint64(len(b)-size) < n {
		return nil, fmt.Errorf("record of kind %d in space %x is not a record", r.Kind, space)
	}
	r.Name = string(b[size : size+int(n)])
	r.body = b[size+int(n):]
	return r, nil
}
