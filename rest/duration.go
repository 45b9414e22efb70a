package rest

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Duration is an ISO 8601 duration of days and smaller, as Azure uses them: P7D,
// PT1H30M, and PT01H00M00S as some tools send it.
type Duration time.Duration

// Unlimited is how Azure writes a time that never ends: the largest that its own
// type can hold, P10675199DT2H48M5.4775807S. It is more than a time.Duration can
// hold, so the largest of these stands for it.
const Unlimited = Duration(math.MaxInt64)

const unlimitedText = "P10675199DT2H48M5.4775807S"

// ParseDuration reads a duration. One that is too long for a time.Duration becomes
// Unlimited.
func ParseDuration(s string) (Duration, error) {
	bad := fmt.Errorf("%q is not an ISO 8601 duration", s)
	rest, negative := strings.CutPrefix(s, "-")
	rest, ok := strings.CutPrefix(rest, "P")
	if !ok || rest == "" || strings.HasSuffix(rest, "T") {
		return 0, bad
	}
	var total float64
	inTime := false
	order := 0
	for rest != "" {
		if rest[0] == 'T' && !inTime {
			inTime, rest = true, rest[1:]
			continue
		}
		i := strings.IndexFunc(rest, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
		if i <= 0 {
			return 0, bad
		}
		n, err := strconv.ParseFloat(rest[:i], 64)
		if err != nil {
			return 0, bad
		}
		var unit time.Duration
		var rank int
		switch {
		case rest[i] == 'W' && !inTime:
			unit, rank = 7*24*time.Hour, 1
		case rest[i] == 'D' && !inTime:
			unit, rank = 24*time.Hour, 2
		case rest[i] == 'H' && inTime:
			unit, rank = time.Hour, 3
		case rest[i] == 'M' && inTime:
			unit, rank = time.Minute, 4
		case rest[i] == 'S' && inTime:
			unit, rank = time.Second, 5
		default:
			return 0, bad
		}
		if rank <= order {
			return 0, bad
		}
		order = rank
		total += n * float64(unit)
		rest = rest[i+1:]
	}
	if total >= math.MaxInt64 {
		return Unlimited, nil
	}
	if negative {
		total = -total
	}
	return Duration(math.Round(total)), nil
}

// String writes the duration as Azure does: PT0S, PT30S, P1DT2H.
func (d Duration) String() string {
	if d == Unlimited {
		return unlimitedText
	}
	var b strings.Builder
	rest := time.Duration(d)
	if rest < 0 {
		b.WriteByte('-')
		rest = -rest
	}
	b.WriteByte('P')
	if days := rest / (24 * time.Hour); days > 0 {
		fmt.Fprintf(&b, "%dD", days)
		rest -= days * 24 * time.Hour
	}
	if rest == 0 && d != 0 {
		return b.String()
	}
	b.WriteByte('T')
	if h := rest / time.Hour; h > 0 {
		fmt.Fprintf(&b, "%dH", h)
		rest -= h * time.Hour
	}
	if m := rest / time.Minute; m > 0 {
		fmt.Fprintf(&b, "%dM", m)
		rest -= m * time.Minute
	}
	if rest > 0 || d == 0 {
		b.WriteString(strconv.FormatFloat(rest.Seconds(), 'f', -1, 64) + "S")
	}
	return b.String()
}

// MarshalJSON implements json.Marshaler.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON implements json.Unmarshaler.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	v, err := ParseDuration(s)
	if err != nil {
		return err
	}
	*d = v
	return nil
}
