package store_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"latchkey/envelope"
	"latchkey/fault"
	"latchkey/store"
)

const kind = store.KindJob

// keys holds keys by space, the newest last; a space without one is locked.
type keys struct {
	mu   sync.Mutex
	sets map[store.Space][]*envelope.Key
	used int
}

func (k *keys) set(space store.Space, all ...*envelope.Key) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sets[space] = all
}

func (k *keys) Sealer(space store.Space) (store.Sealer, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.sets[space]) == 0 {
		return nil, fault.KeyUnavailable.New("")
	}
	k.used++
	return &sealer{k, slices.Clone(k.sets[space])}, nil
}

type sealer struct {
	keys *keys
	all  []*envelope.Key
}

func (s *sealer) newest() *envelope.Key                 { return s.all[len(s.all)-1] }
func (s *sealer) Seal(ad, plain []byte) ([]byte, error) { return s.newest().Seal(ad, plain) }
func (s *sealer) Fresh(sealed []byte) bool {
	return envelope.Generation(sealed) == s.newest().Generation()
}
func (s *sealer) Release() { s.keys.mu.Lock(); s.keys.used--; s.keys.mu.Unlock() }
func (s *sealer) Open(ad, sealed []byte) (b []byte, err error) {
	for _, k := range s.all {
		if b, err = k.Open(ad, sealed); err == nil {
			return b, nil
		}
	}
	return nil, err
}

func (s *sealer) Names(label []byte) (tags [][]byte, err error) {
	for _, k := range slices.Backward(s.all) {
		tag, err := k.Name(label)
		if err != nil {
			return nil, err
		}
		tags = append(tags, tag)
	}
	return tags, nil
}

// world is a store over the embedded driver, with one open space.
type world struct {
	*store.Store
	t      testing.TB
	driver *store.Pebble
	keys   *keys
	space  store.Space
}

func setup(t testing.TB) *world {
	t.Helper()
	driver, err := store.OpenPebble(t.TempDir(), slog.New(slog.DiscardHandler))
	must(t, err)
	t.Cleanup(func() { must(t, driver.Close()) })
	k := &keys{sets: map[store.Space][]*envelope.Key{}}
	w := &world{store.New(driver, k), t, driver, k, store.NewSpace()}
	k.set(w.space, envelope.NewKey(envelope.NewSecret(), 1))
	t.Cleanup(func() {
		if k.used != 0 {
			t.Errorf("%d sealers were not released", k.used)
		}
	})
	return w
}

func (w *world) update(fn func(tx *store.Tx) error) {
	w.t.Helper()
	must(w.t, w.Update(context.Background(), w.space, fn))
}

func (w *world) view(fn func(tx *store.Tx) error) {
	w.t.Helper()
	must(w.t, w.View(context.Background(), w.space, fn))
}

func (w *world) insert(name string, fields store.Clear, v any) (r *store.Record) {
	w.t.Helper()
	w.update(func(tx *store.Tx) (err error) {
		r, err = tx.Insert(kind, store.RID{}, name, fields, v)
		return err
	})
	return r
}

// rows returns all rows of the space.
func (w *world) rows() []store.Row {
	w.t.Helper()
	rows, err := w.driver.Scan(context.Background(), w.space[:], append(w.space[:], 0xff, 0xff), 100000)
	must(w.t, err)
	return rows
}

func TestNamesKeepTheirCaseAndAreFoundWithoutIt(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.insert("MyJob", store.Clear{}, "v")
	err := w.Update(t.Context(), w.space, func(tx *store.Tx) error {
		_, err := tx.Insert(kind, store.RID{}, "MYJOB", store.Clear{}, "other")
		return err
	})
	if !errors.Is(err, store.ErrExists) {
		t.Errorf("second Insert = %v, want %v", err, store.ErrExists)
	}
	w.update(func(tx *store.Tx) error {
		r, err := tx.Lookup(kind, store.RID{}, "myjob")
		if err != nil {
			return err
		}
		if r.Name != "MyJob" {
			t.Errorf("name = %q", r.Name)
		}
		// Another parent, another kind: another name.
		if _, err := tx.Insert(kind, r.ID, "myjob", store.Clear{}, "child"); err != nil {
			t.Error(err)
		}
		if _, err := tx.Insert(store.KindPool, store.RID{}, "myjob", store.Clear{}, "pool"); err != nil {
			t.Error(err)
		}
		if err := tx.Delete(r); err != nil {
			return err
		}
		if _, err := tx.Lookup(kind, store.RID{}, "myjob"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Lookup behind Delete = %v", err)
		}
		_, err = tx.Insert(kind, store.RID{}, "myJOB", store.Clear{}, "again")
		return err
	})
	w.view(func(tx *store.Tx) error {
		r, err := tx.Lookup(kind, store.RID{}, "MyJob")
		if err != nil || r.Name != "myJOB" {
			t.Errorf("Lookup = %v, %v", r, err)
		}
		return nil
	})
}

func TestListsAreInOrder(t *testing.T) {
	t.Parallel()
	w := setup(t)
	pool := store.NewRID()
	due := time.Now().Add(-time.Hour).UTC().Truncate(time.Microsecond)
	for i, priority := range []int32{0, -1000, 1000, 0, 1000} {
		w.insert(fmt.Sprint(i), store.Clear{State: 1, Priority: priority, Under: pool, Due: due.Add(time.Duration(-i) * time.Minute)}, i)
	}
	w.insert("later", store.Clear{Due: time.Now().Add(time.Hour)}, 9)
	for i := range 300 {
		w.insert(fmt.Sprintf("more%d", i), store.Clear{State: 2}, i)
	}
	names := func(tx *store.Tx, p store.Place) string {
		r, err := tx.Get(kind, p.Parent, p.ID)
		must(t, err)
		return r.Name
	}
	w.view(func(tx *store.Tx) error {
		var all, states, dues []string
		var behind store.RID
		for r, err := range tx.Records(kind, store.RID{}, store.RID{}) {
			must(t, err)
			all = append(all, r.Name)
			if r.Name == "more149" {
				behind = r.ID
			}
		}
		if len(all) != 306 || all[0] != "0" || all[5] != "later" || all[305] != "more299" {
			t.Errorf("%d records, in the order %v", len(all), all)
		}
		rest := 0
		for r, err := range tx.Records(kind, store.RID{}, behind) {
			must(t, err)
			if rest++; rest == 1 && r.Name != "more150" {
				t.Errorf("behind more149 comes %s", r.Name)
			}
		}
		if rest != 150 {
			t.Errorf("%d records behind more149, want 150", rest)
		}
		for p, err := range tx.InState(kind, pool, 1) {
			must(t, err)
			states = append(states, names(tx, p))
		}
		if got := fmt.Sprint(states); got != "[2 4 0 3 1]" {
			t.Errorf("by priority and age: %s, want [2 4 0 3 1]", got)
		}
		for p, err := range tx.Due(kind, time.Now()) {
			must(t, err)
			dues = append(dues, names(tx, p))
		}
		if got := fmt.Sprint(dues); got != "[4 3 2 1 0]" {
			t.Errorf("due: %s, want [4 3 2 1 0]", got)
		}
		return nil
	})
	count := func(under store.RID, state store.State, want int64) {
		t.Helper()
		if n, err := w.Count(t.Context(), w.space, kind, under, state); err != nil || n != want {
			t.Errorf("Count = %d, %v, want %d", n, err, want)
		}
	}
	count(pool, 1, 5)
	count(store.RID{}, 2, 300)
	w.update(func(tx *store.Tx) error {
		for _, name := range []string{"0", "1"} {
			r, err := tx.Lookup(kind, store.RID{}, name)
			must(t, err)
			if name == "0" {
				must(t, tx.Put(r, store.Clear{State: 2, Under: pool}, "moved"))
			} else {
				must(t, tx.Delete(r))
			}
		}
		return nil
	})
	count(pool, 1, 3)
	count(pool, 2, 1)
	if n, err := w.Size(t.Context(), w.space); err != nil || n != 305 {
		t.Errorf("Size = %d, %v, want 305", n, err)
	}
}

func TestTransactionsLoseNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.insert("n", store.Clear{State: 1}, 0)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				err := w.Update(context.Background(), w.space, func(tx *store.Tx) error {
					r, err := tx.Lookup(kind, store.RID{}, "n")
					if err != nil {
						return err
					}
					var n int
					if err := r.Decode(&n); err != nil {
						return err
					}
					return tx.Put(r, store.Clear{State: store.State(n%3 + 1)}, n+1)
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	w.view(func(tx *store.Tx) error {
		r, err := tx.Lookup(kind, store.RID{}, "n")
		must(t, err)
		var n int
		must(t, r.Decode(&n))
		if n != 160 {
			t.Errorf("n = %d, want 160", n)
		}
		return nil
	})
	total := int64(0)
	for state := range store.State(4) {
		n, err := w.Count(t.Context(), w.space, kind, store.RID{}, state)
		must(t, err)
		total += n
	}
	if total != 1 {
		t.Errorf("the record is counted %d times", total)
	}
}

func TestALockedSpaceHasNoTransactions(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.insert("j", store.Clear{State: 1}, "v")
	w.keys.set(w.space)
	ran := false
	fn := func(*store.Tx) error { ran = true; return nil }
	for name, err := range map[string]error{
		"Update": w.Update(t.Context(), w.space, fn), "View": w.View(t.Context(), w.space, fn),
		"Reseal": func() error { _, _, err := w.Reseal(t.Context(), w.space, nil, 10); return err }(),
	} {
		if !errors.Is(err, fault.KeyUnavailable) {
			t.Errorf("%s = %v, want %v", name, err, fault.KeyUnavailable)
		}
	}
	if ran {
		t.Error("the function ran")
	}
	// What needs no key works: counting and deleting.
	if n, err := w.Count(t.Context(), w.space, kind, store.RID{}, 1); err != nil || n != 1 {
		t.Errorf("Count = %d, %v", n, err)
	}
	must(t, w.DeleteSpace(t.Context(), w.space))
	if rows := w.rows(); len(rows) != 0 {
		t.Errorf("%d rows are left", len(rows))
	}
}

func TestOnlyWhatIsDeclaredCanBeRead(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.insert("canary-name", store.Clear{State: 1, Priority: 7}, map[string]string{"canary-field": "canary-value"})
	for _, row := range w.rows() {
		if bytes.Contains(row.Key, []byte("canary")) || bytes.Contains(row.Value, []byte("canary")) {
			t.Errorf("row %q = %q", row.Key, row.Value)
		}
	}
}

// A record opens only where it was sealed, and the error says why it does not.
func TestARecordThatIsNotWhereItWasSealedDoesNotOpen(t *testing.T) {
	t.Parallel()
	const parentAt, idAt, kindAt = 18, 34, 17
	tests := map[string]struct {
		// spoil changes the row, given that of another record; it may change keys.
		spoil func(w *world, row *store.Row)
		want  error
		says  string
	}{
		"moved to another record":        {func(_ *world, r *store.Row) { r.Key[idAt+9] ^= 1 }, envelope.ErrMoved, "kind 34"},
		"moved to another parent":        {func(_ *world, r *store.Row) { r.Key[parentAt] ^= 1 }, envelope.ErrMoved, "moved here"},
		"moved to another kind":          {func(_ *world, r *store.Row) { r.Key[kindAt] = byte(store.KindTask) }, envelope.ErrMoved, "kind 35"},
		"its state was changed":          {func(_ *world, r *store.Row) { r.Value[0] ^= 1 }, envelope.ErrMoved, "does not open"},
		"its priority was changed":       {func(_ *world, r *store.Row) { r.Value[4] ^= 1 }, envelope.ErrMoved, "does not open"},
		"its time was changed":           {func(_ *world, r *store.Row) { r.Value[28] ^= 1 }, envelope.ErrMoved, "does not open"},
		"its contents were changed":      {func(_ *world, r *store.Row) { r.Value[len(r.Value)-1] ^= 1 }, envelope.ErrChanged, "changed after"},
		"it was cut off":                 {func(_ *world, r *store.Row) { r.Value = r.Value[:40] }, envelope.ErrChanged, "does not open"},
		"nothing of it is left":          {func(_ *world, r *store.Row) { r.Value = r.Value[:3] }, nil, "cut off"},
		"the account has another key":    {func(w *world, _ *store.Row) { w.keys.set(w.space, envelope.NewKey(envelope.NewSecret(), 1)) }, envelope.ErrOtherKey, "another account"},
		"the account is a generation on": {func(w *world, _ *store.Row) { w.keys.set(w.space, envelope.NewKey(envelope.NewSecret(), 2)) }, envelope.ErrGeneration, "generation 1, not 2"},
		"moved to another account": {func(w *world, r *store.Row) {
			other := store.NewSpace()
			w.keys.set(other, w.keys.sets[w.space]...)
			copy(r.Key, other[:])
			w.space = other
		}, envelope.ErrMoved, "moved here"},
		"moved to another account with its own key": {func(w *world, r *store.Row) {
			w.space = store.NewSpace()
			w.keys.set(w.space, envelope.NewKey(envelope.NewSecret(), 1))
			copy(r.Key, w.space[:])
		}, envelope.ErrOtherKey, "another account's key"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			r := w.insert("j", store.Clear{State: 1, Priority: 3, Due: time.Now()}, "value")
			i := slices.IndexFunc(w.rows(), func(row store.Row) bool { return row.Key[16] == 'r' })
			row := w.rows()[i]
			test.spoil(w, &row)
			commit(t, w.driver, &store.Commit{Puts: []store.Row{row}})
			var id, parent store.RID
			copy(parent[:], row.Key[parentAt:])
			copy(id[:], row.Key[idAt:])
			err := w.View(t.Context(), w.space, func(tx *store.Tx) error {
				_, err := tx.Get(store.Kind(row.Key[kindAt]), parent, id)
				return err
			})
			if err == nil || test.want != nil && !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("Get = %v, want %v saying %q (record %x)", err, test.want, test.says, r.ID)
			}
		})
	}
}

func TestResealMovesEverythingUnderTheNewestGeneration(t *testing.T) {
	t.Parallel()
	w := setup(t)
	old, next := w.keys.sets[w.space][0], envelope.NewKey(envelope.NewSecret(), 2)
	versions := map[string]uint64{}
	for i := range 150 {
		name := fmt.Sprintf("j%d", i)
		versions[name] = w.insert(name, store.Clear{State: 1}, i).Version
	}
	w.insert("", store.Clear{}, "without a name")
	w.keys.set(w.space, old, next)
	// While it goes on the space is used: found, written, deleted, made anew.
	w.update(func(tx *store.Tx) error {
		for i, name := range []string{"j0", "j1"} {
			r, err := tx.Lookup(kind, store.RID{}, name)
			must(t, err)
			if i == 0 {
				must(t, tx.Delete(r))
				delete(versions, name)
			} else {
				must(t, tx.Put(r, store.Clear{State: 1}, 1))
				versions[name] = r.Version
			}
		}
		_, err := tx.Insert(kind, store.RID{}, "j2", store.Clear{}, 0)
		if !errors.Is(err, store.ErrExists) {
			t.Errorf("Insert of a name under the old tag = %v", err)
		}
		return nil
	})
	var cursor []byte
	total := 0
	for {
		var n int
		var err error
		cursor, n, err = w.Reseal(t.Context(), w.space, cursor, 16)
		must(t, err)
		if total += n; cursor == nil {
			break
		}
	}
	if total != 149 {
		t.Errorf("sealed anew: %d, want 149", total)
	}
	if _, n, err := w.Reseal(t.Context(), w.space, nil, 1000); err != nil || n != 0 {
		t.Errorf("a second pass sealed %d, %v", n, err)
	}
	w.keys.set(w.space, next)
	w.view(func(tx *store.Tx) error {
		for name, version := range versions {
			r, err := tx.Lookup(kind, store.RID{}, name)
			if err != nil || r.Version != version {
				t.Errorf("Lookup(%s) under the newest key alone = %v, %v, want version %d", name, r, err, version)
			}
		}
		return nil
	})
	if n := len(w.rows()); n != 149*3+1+1 { // record, name and state; one without; the counter
		t.Errorf("%d rows, want %d", n, 149*3+2)
	}
}

func TestAViewCannotWrite(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.insert("j", store.Clear{}, "v")
	w.view(func(tx *store.Tx) error {
		if err := tx.Put(r, store.Clear{}, "w"); err == nil {
			t.Error("Put in a View went well")
		}
		if err := tx.Delete(r); err == nil {
			t.Error("Delete in a View went well")
		}
		if _, err := tx.Insert(kind, store.RID{}, "k", store.Clear{}, "v"); err == nil {
			t.Error("Insert in a View went well")
		}
		return nil
	})
}

func TestSequencesGrow(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[uint64]bool{}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			last := uint64(0)
			for range 1000 {
				n := store.NextSequence()
				if n <= last {
					t.Errorf("%d behind %d", n, last)
				}
				last = n
				mu.Lock()
				if seen[n] {
					t.Errorf("%d twice", n)
				}
				seen[n] = true
				mu.Unlock()
			}
		})
	}
	all.Wait()
	a, b := store.NewRID(), store.NewRID()
	if bytes.Compare(a[:], b[:]) >= 0 || a.Sequence() != binary.BigEndian.Uint64(a[:8]) {
		t.Errorf("places out of order: %x, %x", a, b)
	}
}

func BenchmarkInsert(b *testing.B) {
	w := setup(b)
	value := strings.Repeat("x", 1024)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			err := w.Update(context.Background(), w.space, func(tx *store.Tx) error {
				for range 100 {
					if _, err := tx.Insert(kind, store.RID{}, fmt.Sprint(store.NextSequence()), store.Clear{State: 1}, value); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)*100/b.Elapsed().Seconds(), "records/s")
}

func TestANameThatWasLedToAnotherRecordFindsNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.insert("first", store.Clear{}, "a")
	w.insert("second", store.Clear{}, "b")
	// Whoever can write to the engine exchanges the two.
	var names []store.Row
	for _, row := range w.rows() {
		if row.Key[16] == 'n' {
			names = append(names, row)
		}
	}
	if len(names) != 2 {
		t.Fatalf("%d names have rows", len(names))
	}
	names[0].Value, names[1].Value = names[1].Value, names[0].Value
	must(t, w.driver.Commit(context.Background(), &store.Commit{Puts: names}))
	for _, name := range []string{"first", "second"} {
		err := w.View(t.Context(), w.space, func(tx *store.Tx) error {
			_, err := tx.Lookup(kind, store.RID{}, name)
			return err
		})
		if err == nil || errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), "moved") {
			t.Errorf("looking up %s: %v", name, err)
		}
	}
}
