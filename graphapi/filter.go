package graphapi

import (
	"regexp"
	"slices"
	"strings"

	"latchkey/fault"
	"latchkey/resource"
)

// Clauses of a $filter as tools write them. A quote inside a value is doubled.
var (
	value       = `'((?:[^']|'')*)'`
	equal       = regexp.MustCompile(`^(\w+) eq ` + value + `$`)
	begins      = regexp.MustCompile(`^(?i:startswith)\( *(\w+) *, *` + value + ` *\)$`)
	anyName     = regexp.MustCompile(`^(\w+)/any\( *(\w+) *: *(\w+) eq ` + value + ` *\)$`)
	conjunction = regexp.MustCompile(` (?:and|or) `)
)

// parseFilter returns what a $filter keeps: clauses about names and ids, joined by
// "or" or by "and". Graph has more; what is not here is refused by name.
func parseFilter(filter string) (func(object) bool, error) {
	filter = strings.TrimSpace(filter)
	if filter == "" {
		return func(object) bool { return true }, nil
	}
	var clauses []func(object) bool
	words := splitOutsideQuotes(filter)
	both := false
	for i, word := range words {
		if i%2 == 1 {
			if i > 1 && (word == "and") != both {
				return nil, badFilter(filter)
			}
			both = word == "and"
			continue
		}
		clause, ok := parseClause(word)
		if !ok {
			return nil, badFilter(word)
		}
		clauses = append(clauses, clause)
	}
	return func(o object) bool {
		if both {
			return !slices.ContainsFunc(clauses, func(is func(object) bool) bool { return !is(o) })
		}
		return slices.ContainsFunc(clauses, func(is func(object) bool) bool { return is(o) })
	}, nil
}

func badFilter(clause string) error {
	return fault.GraphBadRequest.New("Invalid filter clause: '%s' is not supported.", clause)
}

// splitOutsideQuotes returns clauses and the words between them, in turn.
func splitOutsideQuotes(s string) []string {
	var out []string
	for from := 0; ; {
		at := conjunction.FindStringIndex(s[from:])
		if at == nil {
			return append(out, strings.TrimSpace(s))
		}
		start, end := from+at[0], from+at[1]
		if strings.Count(s[:start], "'")%2 == 1 {
			from = end - 1
			continue
		}
		out = append(out, strings.TrimSpace(s[:start]), strings.TrimSpace(s[start:end]))
		s, from = s[end:], 0
	}
}

func parseClause(s string) (func(object) bool, bool) {
	for strings.HasPrefix(s, "(") && strings.HasSuffix(s, ")") {
		s = strings.TrimSpace(s[1 : len(s)-1])
	}
	if m := equal.FindStringSubmatch(s); m != nil {
		field, ok := fields[resource.Fold(m[1])]
		want := unquote(m[2])
		return func(o object) bool {
			return slices.ContainsFunc(field(o), func(v string) bool { return strings.EqualFold(v, want) })
		}, ok
	}
	if m := begins.FindStringSubmatch(s); m != nil {
		field, ok := fields[resource.Fold(m[1])]
		want := strings.ToLower(unquote(m[2]))
		return func(o object) bool {
			return slices.ContainsFunc(field(o), func(v string) bool { return strings.HasPrefix(strings.ToLower(v), want) })
		}, ok
	}
	if m := anyName.FindStringSubmatch(s); m != nil && m[2] == m[3] {
		field, ok := lists[resource.Fold(m[1])]
		want := unquote(m[4])
		return func(o object) bool {
			return slices.ContainsFunc(field(o), func(v string) bool { return strings.EqualFold(v, want) })
		}, ok
	}
	return nil, false
}

func unquote(s string) string { return strings.ReplaceAll(s, "''", "'") }

// fields and lists are what a filter can ask about.
var (
	fields = map[string]func(object) []string{
		"id":                   func(o object) []string { return []string{o.ID} },
		"appid":                func(o object) []string { return []string{o.AppID} },
		"displayname":          func(o object) []string { return []string{o.DisplayName} },
		"serviceprincipaltype": func(o object) []string { return []string{o.ServicePrincipalType} },
	}
	lists = map[string]func(object) []string{
		"serviceprincipalnames": func(o object) []string { return o.Names },
		"alternativenames":      func(o object) []string { return o.AlternativeNames },
		"identifieruris":        func(o object) []string { return o.IdentifierURIs },
	}
)
