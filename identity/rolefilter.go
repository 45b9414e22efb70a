package identity

import (
	"strings"

	"latchkey/fault"
	"latchkey/resource"
)

// A RoleFilter chooses from the assignments at a scope.
type RoleFilter struct {
	// AtScope leaves out what lies below the scope.
	AtScope bool
	// PrincipalID, if set, leaves out everybody else.
	PrincipalID string
}

// ParseRoleFilter reads the $filter of a list of role assignments.
func ParseRoleFilter(filter string) (RoleFilter, error) {
	var f RoleFilter
	for _, clause := range splitAnd(filter) {
		switch {
		case clause == "":
		case resource.Equal(clause, "atScope()"):
			f.AtScope = true
		case prefixed(clause, "assignedTo("):
			id, ok := quoted(strings.TrimSuffix(clause[len("assignedTo("):], ")"))
			if !ok {
				return RoleFilter{}, badFilter(filter)
			}
			f.PrincipalID = id
		case prefixed(clause, "principalId eq "):
			id, ok := quoted(clause[len("principalId eq "):])
			if !ok {
				return RoleFilter{}, badFilter(filter)
			}
			f.PrincipalID = id
		default:
			return RoleFilter{}, badFilter(filter)
		}
	}
	return f, nil
}

func badFilter(filter string) error {
	return fault.InvalidFilter.New("The filter '%s' is not supported. Supported filters are 'atScope()', 'principalId eq '{value}'' and 'assignedTo('{value}')', joined by 'and'.", filter)
}

// splitAnd splits a filter at its ands. Values are GUIDs, so no and hides in one.
func splitAnd(filter string) []string {
	words, clause := strings.Fields(filter), []string(nil)
	var clauses []string
	for _, w := range words {
		if resource.Equal(w, "and") {
			clauses, clause = append(clauses, strings.Join(clause, " ")), nil
			continue
		}
		clause = append(clause, w)
	}
	return append(clauses, strings.Join(clause, " "))
}

func prefixed(s, prefix string) bool {
	return len(s) >= len(prefix) && resource.Equal(s[:len(prefix)], prefix)
}

func quoted(s string) (string, bool) {
	s = strings.TrimSpace(s)
	if len(s) < 3 || s[0] != '\'' || s[len(s)-1] != '\'' {
		return "", false
	}
	return s[1 : len(s)-1], true
}
