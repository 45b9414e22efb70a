package envelope_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"sync"
	"testing"

	"latchkey/envelope"
)

func mustSeal(t testing.TB, k *envelope.Key, ad, plain []byte) []byte {
	t.Helper()
	sealed, err := k.Seal(ad, plain)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestWhatIsSealedOpensInItsPlace(t *testing.T) {
	t.Parallel()
	k := envelope.NewKey(envelope.NewSecret(), 3)
	for _, n := range []int{0, 1, 15, 16, 17, 1024, 1 << 20} {
		plain := bytes.Repeat([]byte{7}, n)
		sealed := mustSeal(t, k, []byte("place"), plain)
		if got, err := k.Open([]byte("place"), sealed); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes: %v", n, err)
		}
		if g := envelope.Generation(sealed); g != 3 {
			t.Errorf("generation %d, want 3", g)
		}
	}
	if a, b := mustSeal(t, k, nil, nil), mustSeal(t, k, nil, nil); bytes.Equal(a, b) {
		t.Error("the same was sealed twice to the same bytes")
	}
}

func TestWhatDoesNotOpenSaysWhy(t *testing.T) {
	t.Parallel()
	secret := envelope.NewSecret()
	k := envelope.NewKey(secret, 2)
	place := []byte("account 1, record 1")
	sealed := mustSeal(t, k, place, []byte("secret"))
	changed := bytes.Clone(sealed)
	changed[len(changed)-1] ^= 1
	wiped := envelope.NewKey(secret, 2)
	wiped.Wipe()
	for name, test := range map[string]struct {
		key    *envelope.Key
		ad     string
		sealed []byte
		want   error
	}{
		"another place":         {k, "account 1, record 2", sealed, envelope.ErrMoved},
		"another account's key": {envelope.NewKey(envelope.NewSecret(), 2), string(place), sealed, envelope.ErrOtherKey},
		"an older generation":   {envelope.NewKey(envelope.NewSecret(), 1), string(place), sealed, envelope.ErrGeneration},
		"a newer generation":    {envelope.NewKey(secret, 3), string(place), sealed, envelope.ErrGeneration},
		"changed":               {k, string(place), changed, envelope.ErrChanged},
		"cut off":               {k, string(place), sealed[:len(sealed)-7], envelope.ErrChanged},
		"nothing":               {k, string(place), nil, envelope.ErrChanged},
		"another format":        {k, string(place), append([]byte{2}, sealed[1:]...), envelope.ErrChanged},
		"a key that is gone":    {wiped, string(place), sealed, envelope.ErrWiped},
		"something behind it":   {k, string(place), append(bytes.Clone(sealed), 0), envelope.ErrChanged},
	} {
		if got, err := test.key.Open([]byte(test.ad), test.sealed); !errors.Is(err, test.want) || got != nil {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

func TestNoFlippedBitOpens(t *testing.T) {
	t.Parallel()
	k := envelope.NewKey(envelope.NewSecret(), 1)
	place := []byte("place")
	sealed := mustSeal(t, k, place, []byte("a few bytes that matter"))
	for i := range len(sealed) * 8 {
		b := bytes.Clone(sealed)
		b[i/8] ^= 1 << (i % 8)
		if _, err := k.Open(place, b); err == nil {
			t.Errorf("opens with bit %d flipped", i)
		}
	}
	for i := range len(place) * 8 {
		b := bytes.Clone(place)
		b[i/8] ^= 1 << (i % 8)
		if _, err := k.Open(b, sealed); !errors.Is(err, envelope.ErrMoved) {
			t.Errorf("bit %d of the place flipped: %v, want %v", i, err, envelope.ErrMoved)
		}
	}
}

// The format is stored for years: what was sealed once must open for ever.
func TestTheFormatStays(t *testing.T) {
	t.Parallel()
	secret := bytes.Repeat([]byte{1}, envelope.SecretSize)
	k := envelope.NewKey(secret, 5)
	const sealed = "0100000005666d4cebb58b75ea81df63580cc9ff151810e1f6bef642097d573cb6ba968ba09e8a8e1bfac2667aef6c356e1d" +
		"7982fad796936e694a429a95df990da81265c8319b190cbc1cc0f23fba4707a025ab9a9b"
	b, err := hex.DecodeString(sealed)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k.Open([]byte("place"), b); err != nil || string(got) != "plain" {
		t.Errorf("Open = %q, %v", got, err)
	}
	name, err := k.Name([]byte("label"))
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(name); got != "64c629bd59264a39b5cd633612cf85524c827ea49db8a0de2640117f7c559699" {
		t.Errorf("Name = %s", got)
	}
	if got := hex.EncodeToString(envelope.Commitment(secret, []byte("account"), 5)); got != "4c82e51a7cabb1b5c54a17dbc7024384c065df4c8bd3323f5419d6eff03dc143" {
		t.Errorf("Commitment = %s", got)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	a, b := envelope.NewKey(envelope.NewSecret(), 1), envelope.NewKey(envelope.NewSecret(), 1)
	name := func(k *envelope.Key, label string) string {
		tag, err := k.Name([]byte(label))
		if err != nil || len(tag) != 32 {
			t.Fatalf("Name = %x, %v", tag, err)
		}
		return string(tag)
	}
	first := name(a, "x")
	if name(a, "x") != first {
		t.Error("a name has two tags")
	}
	if first == name(a, "y") || first == name(b, "x") {
		t.Error("two names have one tag")
	}
}

func TestCommitmentBindsKeyAccountAndGeneration(t *testing.T) {
	t.Parallel()
	one, two := envelope.NewSecret(), envelope.NewSecret()
	first := envelope.Commitment(one, []byte("a"), 1)
	if !bytes.Equal(first, envelope.Commitment(one, []byte("a"), 1)) {
		t.Error("a commitment does not come out the same")
	}
	for name, other := range map[string][]byte{
		"key": envelope.Commitment(two, []byte("a"), 1), "account": envelope.Commitment(one, []byte("b"), 1), "generation": envelope.Commitment(one, []byte("a"), 2),
	} {
		if bytes.Equal(first, other) {
			t.Errorf("another %s has the same commitment", name)
		}
	}
}

func TestWipeWaitsForNobodyAndBreaksNothing(t *testing.T) {
	t.Parallel()
	k := envelope.NewKey(envelope.NewSecret(), 1)
	sealed := mustSeal(t, k, nil, []byte("x"))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 2000 {
				if got, err := k.Open(nil, sealed); err != nil && !errors.Is(err, envelope.ErrWiped) || err == nil && string(got) != "x" {
					t.Errorf("Open = %q, %v", got, err)
					return
				}
			}
		})
	}
	k.Wipe()
	all.Wait()
	for name, err := range map[string]error{
		"Seal": func() error { _, err := k.Seal(nil, nil); return err }(),
		"Name": func() error { _, err := k.Name(nil); return err }(),
	} {
		if !errors.Is(err, envelope.ErrWiped) {
			t.Errorf("%s = %v, want %v", name, err, envelope.ErrWiped)
		}
	}
}

func FuzzOpen(f *testing.F) {
	k := envelope.NewKey(bytes.Repeat([]byte{9}, envelope.SecretSize), 1)
	f.Add([]byte("place"), []byte("plain"), []byte{})
	f.Add([]byte{}, []byte{}, bytes.Repeat([]byte{1}, 100))
	f.Add([]byte("p"), []byte("q"), binary.BigEndian.AppendUint32([]byte{1}, 1))
	f.Fuzz(func(t *testing.T, ad, plain, junk []byte) {
		sealed, err := k.Seal(ad, plain)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := k.Open(ad, sealed); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("Open = %q, %v, want %q", got, err, plain)
		}
		if _, err := k.Open(ad, junk); err == nil {
			t.Fatalf("%x opens", junk)
		}
		if _, err := k.Open(ad, append(sealed, junk...)); err == nil && len(junk) > 0 {
			t.Fatalf("opens with %x behind it", junk)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	k := envelope.NewKey(envelope.NewSecret(), 1)
	ad, plain := make([]byte, 80), make([]byte, 1024)
	b.SetBytes(1024)
	for b.Loop() {
		if _, err := k.Seal(ad, plain); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	k := envelope.NewKey(envelope.NewSecret(), 1)
	ad := make([]byte, 80)
	sealed := mustSeal(b, k, ad, make([]byte, 1024))
	b.SetBytes(1024)
	for b.Loop() {
		if _, err := k.Open(ad, sealed); err != nil {
			b.Fatal(err)
		}
	}
}
