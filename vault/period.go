package vault

import (
	"regexp"
	"strconv"
	"time"
)

// A period is a length of time as ISO 8601 has it. Years and months are as long as the
// calendar makes them.
type period struct {
	years, months, days int
	clock               time.Duration
}

// periods has few digits on purpose: what they can say stays within the years that a
// date can be written with.
var periods = regexp.MustCompile(`^P(?:(\d{1,3})Y)?(?:(\d{1,4})M)?(?:(\d{1,4})W)?(?:(\d{1,5})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,7})M)?(?:(\d{1,8})S)?)?$`)

// parsePeriod reads a period, such as P1Y6M or PT48H.
func parsePeriod(s string) (p period, ok bool) {
	m := periods.FindStringSubmatch(s)
	if m == nil || s == "P" || s[len(s)-1] == 'T' {
		return p, false
	}
	var n [8]int
	for i := 1; i < len(m); i++ {
		// An empty group is zero, and nothing else here fails.
		n[i], _ = strconv.Atoi(m[i])
	}
	p = period{
		years: n[1], months: n[2], days: 7*n[3] + n[4],
		clock: time.Duration(n[5])*time.Hour + time.Duration(n[6])*time.Minute + time.Duration(n[7])*time.Second,
	}
	return p, p != period{}
}

func (p period) after(t time.Time) time.Time {
	return t.AddDate(p.years, p.months, p.days).Add(p.clock)
}

func (p period) before(t time.Time) time.Time {
	return t.AddDate(-p.years, -p.months, -p.days).Add(-p.clock)
}
