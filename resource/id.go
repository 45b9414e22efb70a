package resource

import (
	"fmt"
	"strings"
)

// An ID is a parsed Resource Manager id:
// /subscriptions/S[/resourceGroups/G[/providers/NS/TYPE/NAME[/TYPE/NAME]…]].
type ID struct {
	Subscription string
	Group        string
	// Provider is the namespace, such as Microsoft.Batch.
	Provider string
	// Types and Names run in parallel: batchAccounts, pools and myacct, mypool.
	Types, Names []string
}

// ParseID reads an id as it came, keeping its case.
func ParseID(s string) (ID, error) {
	bad := fmt.Errorf("%q is not a resource id", s)
	parts := strings.Split(strings.Trim(s, "/"), "/")
	for _, p := range parts {
		if p == "" {
			return ID{}, bad
		}
	}
	if len(parts) < 2 || !Equal(parts[0], "subscriptions") || !strings.HasPrefix(s, "/") {
		return ID{}, bad
	}
	id := ID{Subscription: parts[1]}
	parts = parts[2:]
	if len(parts) >= 2 && Equal(parts[0], "resourceGroups") {
		id.Group = parts[1]
		parts = parts[2:]
	}
	if len(parts) == 0 {
		return id, nil
	}
	if len(parts) < 4 || len(parts)%2 != 0 || !Equal(parts[0], "providers") {
		return ID{}, bad
	}
	id.Provider = parts[1]
	for p := parts[2:]; len(p) > 0; p = p[2:] {
		id.Types = append(id.Types, p[0])
		id.Names = append(id.Names, p[1])
	}
	return id, nil
}

// Type returns the full type, such as Microsoft.Batch/batchAccounts/pools; a group
// and a subscription have Azure's names for theirs.
func (id ID) Type() string {
	switch {
	case id.Provider != "":
		return id.Provider + "/" + strings.Join(id.Types, "/")
	case id.Group != "":
		return "Microsoft.Resources/resourceGroups"
	}
	return "Microsoft.Resources/subscriptions"
}

// Is reports whether the id is of the full type given.
func (id ID) Is(fullType string) bool { return Equal(id.Type(), fullType) }

// Name returns the last name of the id.
func (id ID) Name() string {
	switch {
	case len(id.Names) > 0:
		return id.Names[len(id.Names)-1]
	case id.Group != "":
		return id.Group
	}
	return id.Subscription
}

// String writes the id with Azure's spelling of the fixed words.
func (id ID) String() string {
	var b strings.Builder
	b.WriteString("/subscriptions/" + id.Subscription)
	if id.Group != "" {
		b.WriteString("/resourceGroups/" + id.Group)
	}
	if id.Provider != "" {
		b.WriteString("/providers/" + id.Provider)
		for i := range id.Types {
			b.WriteString("/" + id.Types[i] + "/" + id.Names[i])
		}
	}
	return b.String()
}

// Within reports whether id is scope or lies below it. Scopes compare as ids do,
// and only at whole segments.
func Within(id, scope string) bool {
	id, scope = strings.TrimRight(Fold(id), "/"), strings.TrimRight(Fold(scope), "/")
	return id == scope || strings.HasPrefix(id, scope+"/")
}

// GroupID returns the id of a resource group.
func GroupID(subscription, group string) string {
	return ID{Subscription: subscription, Group: group}.String()
}

// New returns the id of a resource in a group: New(sub, group, "Microsoft.Batch",
// "batchAccounts", "a1", "pools", "p1").
func New(subscription, group, provider string, typesAndNames ...string) string {
	id := ID{Subscription: subscription, Group: group, Provider: provider}
	for i := 0; i+1 < len(typesAndNames); i += 2 {
		id.Types = append(id.Types, typesAndNames[i])
		id.Names = append(id.Names, typesAndNames[i+1])
	}
	return id.String()
}
