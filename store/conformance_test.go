package store_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"latchkey/store"
)

// A place opens a driver over the same rows again and again, as processes that follow
// one another do.
type place func(t testing.TB) store.Driver

// drivers are all drivers there are, by name. Each entry makes a new, empty place;
// every one of them passes the whole suite below.
var drivers = map[string]func(t testing.TB) place{
	"pebble": func(t testing.TB) place {
		dir := t.TempDir()
		return func(t testing.TB) store.Driver {
			t.Helper()
			d, err := store.OpenPebble(dir, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
	},
}

// conformance is what every driver must do.
var conformance = map[string]func(t *testing.T, open place){
	"a row is read as it was written":          testRows,
	"a scan is in order and within its bounds": testScan,
	"a commit happens whole or not at all":     testAtomic,
	"a row that moved is a conflict":           testPreconditions,
	"of two commits on one reading, one fails": testRace,
	"counters add up":                          testCounters,
	"a range is deleted":                       testDeleteRange,
	"what was committed is there afterwards":   testDurable,
	"what is handed out is the caller's":       testOwnership,
	"scrubbing keeps what is there":            testScrub,
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for driver, begin := range drivers {
		for name, test := range conformance {
			t.Run(driver+"/"+name, func(t *testing.T) {
				t.Parallel()
				test(t, begin(t))
			})
		}
	}
}

// opened opens a place for the length of a test.
func opened(t testing.TB, open place) store.Driver {
	t.Helper()
	d := open(t)
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return d
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(key, value string, version uint64) store.Row {
	return store.Row{Key: []byte(key), Value: []byte(value), Version: version}
}

func commit(t testing.TB, d store.Driver, c *store.Commit) {
	t.Helper()
	must(t, d.Commit(context.Background(), c))
}

// want checks the value at a key; an empty want means that there is none.
func want(t testing.TB, d store.Driver, key, value string, version uint64) {
	t.Helper()
	row, ok, err := d.Get(context.Background(), []byte(key))
	must(t, err)
	if ok != (version != 0) || ok && (string(row.Key) != key || string(row.Value) != value || row.Version != version) {
		t.Errorf("Get(%q) = %q %q %d %v, want %q %d", key, row.Key, row.Value, row.Version, ok, value, version)
	}
}

func testRows(t *testing.T, open place) {
	d := opened(t, open)
	want(t, d, "a", "", 0)
	big := string(bytes.Repeat([]byte{0, 255, 7}, 100_000))
	odd := "\x00\xff\x00key\xff\xff"
	commit(t, d, &store.Commit{Puts: []store.Row{put("a", "one", 1), put("b", "", 1<<64-1), put(odd, big, 3)}})
	want(t, d, "a", "one", 1)
	want(t, d, "b", "", 1<<64-1)
	want(t, d, odd, big, 3)
	commit(t, d, &store.Commit{Puts: []store.Row{put("a", "two", 9)}, Deletes: [][]byte{[]byte("b"), []byte("none")}})
	want(t, d, "a", "two", 9)
	want(t, d, "b", "", 0)
}

func testScan(t *testing.T, open place) {
	d := opened(t, open)
	ctx := context.Background()
	var all []string
	var c store.Commit
	for i := range 300 {
		key := fmt.Sprintf("k%03d", i)
		all = append(all, key)
		c.Puts = append(c.Puts, put(key, key, uint64(i+1)))
	}
	c.Puts = append(c.Puts, put("\xff\xff", "last", 1), put("\x00", "first", 1))
	rand.Shuffle(len(c.Puts), func(i, j int) { c.Puts[i], c.Puts[j] = c.Puts[j], c.Puts[i] })
	commit(t, d, &c)
	for _, test := range []struct {
		from, to string
		limit    int
		want     []string
	}{
		{"k", "l", 1000, all},
		{"k", "l", 7, all[:7]},
		{"k010", "k020", 1000, all[10:20]},
		{"k010\x00", "k020", 1000, all[11:20]},
		{"k0105", "k0105", 10, nil},
		{"l", "m", 10, nil},
		{"k299", "\xff\xff", 10, all[299:]},
	} {
		rows, err := d.Scan(ctx, []byte(test.from), []byte(test.to), test.limit)
		must(t, err)
		var got []string
		for _, r := range rows {
			got = append(got, string(r.Key))
			if string(r.Value) != string(r.Key) || r.Version == 0 {
				t.Errorf("row %q = %q %d", r.Key, r.Value, r.Version)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("Scan(%q, %q, %d) = %q, want %q", test.from, test.to, test.limit, got, test.want)
		}
	}
}

func testAtomic(t *testing.T, open place) {
	d := opened(t, open)
	commit(t, d, &store.Commit{Puts: []store.Row{put("a", "1", 1), put("b", "1", 1)}})
	err := d.Commit(context.Background(), &store.Commit{
		Reads:   []store.Read{{Key: []byte("a"), Version: 1}, {Key: []byte("b"), Version: 2}},
		Puts:    []store.Row{put("a", "2", 2), put("c", "2", 2)},
		Deletes: [][]byte{[]byte("b")},
		Adds:    []store.Add{{Key: []byte("n"), Delta: 1}},
	})
	if !errors.Is(err, store.ErrConflict) {
		t.Fatalf("Commit = %v, want %v", err, store.ErrConflict)
	}
	want(t, d, "a", "1", 1)
	want(t, d, "b", "1", 1)
	want(t, d, "c", "", 0)
	want(t, d, "n", "", 0)

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := d.Commit(ctx, &store.Commit{Puts: []store.Row{put("a", "3", 3)}}); !errors.Is(err, context.Canceled) {
		t.Errorf("Commit with a context that has ended = %v, want %v", err, context.Canceled)
	}
	want(t, d, "a", "1", 1)
}

func testPreconditions(t *testing.T, open place) {
	d := opened(t, open)
	commit(t, d, &store.Commit{Puts: []store.Row{put("a", "1", 5)}})
	for name, test := range map[string]struct {
		read store.Read
		ok   bool
	}{
		"as it was read":               {store.Read{Key: []byte("a"), Version: 5}, true},
		"another version":              {store.Read{Key: []byte("a"), Version: 4}, false},
		"there is one":                 {store.Read{Key: []byte("a")}, false},
		"there is none":                {store.Read{Key: []byte("none")}, true},
		"there is none, and there was": {store.Read{Key: []byte("none"), Version: 1}, false},
	} {
		err := d.Commit(context.Background(), &store.Commit{Reads: []store.Read{test.read}, Puts: []store.Row{put("x", name, 1)}})
		if (err == nil) != test.ok || err != nil && !errors.Is(err, store.ErrConflict) {
			t.Errorf("%s: %v, want ok %v", name, err, test.ok)
		}
	}
}

func testRace(t *testing.T, open place) {
	d := opened(t, open)
	commit(t, d, &store.Commit{Puts: []store.Row{put("n", "0", 1)}})
	const writers, each = 8, 25
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for done := 0; done < each; {
				row, _, err := d.Get(context.Background(), []byte("n"))
				if err != nil {
					t.Error(err)
					return
				}
				var n int
				fmt.Sscan(string(row.Value), &n)
				err = d.Commit(context.Background(), &store.Commit{
					Reads: []store.Read{{Key: row.Key, Version: row.Version}},
					Puts:  []store.Row{put("n", fmt.Sprint(n+1), store.NextSequence())},
				})
				switch {
				case err == nil:
					done++
				case !errors.Is(err, store.ErrConflict):
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if row, _, _ := d.Get(context.Background(), []byte("n")); string(row.Value) != fmt.Sprint(writers*each) {
		t.Errorf("n = %s, want %d: a change was lost", row.Value, writers*each)
	}
}

func testCounters(t *testing.T, open place) {
	d := opened(t, open)
	count := func() int64 {
		row, ok, err := d.Get(context.Background(), []byte("n"))
		must(t, err)
		if !ok {
			return 0
		}
		if len(row.Value) != 8 || row.Version == 0 {
			t.Fatalf("the counter's row is %x, version %d", row.Value, row.Version)
		}
		return int64(binary.BigEndian.Uint64(row.Value))
	}
	add := func(delta int64) { commit(t, d, &store.Commit{Adds: []store.Add{{Key: []byte("n"), Delta: delta}}}) }
	add(3)
	add(-5)
	if got := count(); got != -2 {
		t.Errorf("counter = %d, want -2", got)
	}
	add(2)
	want(t, d, "n", "", 0) // one that comes back to zero is gone
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 25 {
				if err := d.Commit(context.Background(), &store.Commit{Adds: []store.Add{{Key: []byte("n"), Delta: 1}}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if got := count(); got != 200 {
		t.Errorf("counter = %d, want 200", got)
	}
}

func testDeleteRange(t *testing.T, open place) {
	d := opened(t, open)
	ctx := context.Background()
	commit(t, d, &store.Commit{Puts: []store.Row{put("a", "1", 1), put("b", "1", 1), put("b\x00", "1", 1), put("bz", "1", 1), put("c", "1", 1)}})
	must(t, d.DeleteRange(ctx, []byte("b"), []byte("c")))
	rows, err := d.Scan(ctx, []byte("\x00"), []byte("\xff"), 10)
	must(t, err)
	if len(rows) != 2 || string(rows[0].Key) != "a" || string(rows[1].Key) != "c" {
		t.Errorf("left: %v", rows)
	}
	must(t, d.DeleteRange(ctx, []byte("x"), []byte("y")))
	commit(t, d, &store.Commit{Puts: []store.Row{put("b", "2", 2)}})
	want(t, d, "b", "2", 2)
}

func testDurable(t *testing.T, open place) {
	d := open(t)
	commit(t, d, &store.Commit{Puts: []store.Row{put("a", "1", 1), put("b", "1", 1)}, Adds: []store.Add{{Key: []byte("n"), Delta: 4}}})
	must(t, d.DeleteRange(context.Background(), []byte("b"), []byte("c")))
	must(t, d.Close())
	d = opened(t, open)
	want(t, d, "a", "1", 1)
	want(t, d, "b", "", 0)
	commit(t, d, &store.Commit{Adds: []store.Add{{Key: []byte("n"), Delta: -4}}})
	want(t, d, "n", "", 0)
}

func testOwnership(t *testing.T, open place) {
	d := opened(t, open)
	ctx := context.Background()
	key, value := []byte("a"), []byte("1")
	commit(t, d, &store.Commit{Puts: []store.Row{{Key: key, Value: value, Version: 1}}})
	key[0], value[0] = 'z', 'z'
	want(t, d, "a", "1", 1)
	row, _, err := d.Get(ctx, []byte("a"))
	must(t, err)
	rows, err := d.Scan(ctx, []byte("a"), []byte("b"), 1)
	must(t, err)
	row.Value[0], rows[0].Value[0], rows[0].Key[0] = 'y', 'x', 'x'
	want(t, d, "a", "1", 1)
}

func testScrub(t *testing.T, open place) {
	d := opened(t, open)
	s, ok := d.(store.Scrubber)
	if !ok {
		t.Skip("the driver does not scrub")
	}
	for i := range 50 {
		commit(t, d, &store.Commit{Puts: []store.Row{put("a", fmt.Sprint(i), uint64(i+1)), put("b", "kept", 1)}})
	}
	must(t, s.Scrub(context.Background(), []byte("a"), []byte("b")))
	want(t, d, "a", "49", 50)
	want(t, d, "b", "kept", 1)
}
