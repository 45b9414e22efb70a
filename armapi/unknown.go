package armapi

import (
	"net/http"
	"strings"

	"latchkey/fault"
	"latchkey/resource"
	"latchkey/rest"
	"latchkey/subscription"
)

// unknown says what is missing where a request fits no route: the subscription, the
// group, the namespace, the type. Clients tell these apart.
func (d *Door) unknown(r *http.Request) error {
	if err := d.check(r); err != nil {
		return err
	}
	segments := strings.FieldsFunc(r.URL.Path, func(c rune) bool { return c == '/' })
	rest := segments
	if len(rest) >= 2 && resource.Equal(rest[0], "subscriptions") {
		sub := rest[1]
		if _, err := d.Subscriptions.Subscription(r.Context(), sub); err != nil {
			return err
		}
		rest = rest[2:]
		if len(rest) >= 2 && resource.Equal(rest[0], "resourceGroups") {
			if _, err := d.Subscriptions.Group(r.Context(), sub, rest[1]); err != nil {
				return err
			}
			rest = rest[2:]
		}
	}
	// What stands last is what is asked for: roles on a vault are a provider behind
	// another.
	for i := len(rest) - 2; i >= 0; i-- {
		if resource.Equal(rest[i], "providers") {
			return unknownType(r, rest[i+1], rest[i+2:])
		}
	}
	return fault.NotFound.New("No resource can be found at the path '/%s'.", strings.Join(segments, "/"))
}

func unknownType(r *http.Request, namespace string, path []string) error {
	p, ok := subscription.KnownProvider(namespace)
	if !ok {
		return fault.InvalidResourceNamespace.New("The resource namespace '%s' is invalid.", namespace)
	}
	var types []string
	for i := 0; i < len(path); i += 2 {
		types = append(types, path[i])
	}
	name := strings.Join(types, "/")
	version := rest.Query(r, "api-version")
	if t, ok := p.Type(name); ok {
		// The type is there, and cannot be asked this here.
		return fault.NotFound.New("The resource type '%s/%s' has nothing at the path '%s' for api version '%s'. The announced api-versions are '%s'.",
			p.Namespace, t.Name, r.URL.Path, version, strings.Join(t.Versions, ", "))
	}
	var versions []string
	if len(p.Types) > 0 {
		versions = p.Types[0].Versions
	}
	return fault.InvalidResourceType.New("The resource type '%s' could not be found in the namespace '%s' for api version '%s'. The supported api-versions are '%s'.",
		name, p.Namespace, version, strings.Join(versions, ","))
}

// unsupported answers what Azure does and this service does not.
func unsupported(what string) error {
	return fault.OperationNotSupported.New("%s is not supported by this service.", what)
}

// collapse makes one slash of several.
func collapse(path string) string {
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	return path
}

// absolute returns the address of a path of this door, as clients know it.
func (d *Door) absolute(r *http.Request, path string) string {
	return "https://" + d.Cloud.Management + path + "?api-version=" + rest.Query(r, "api-version")
}

// expands reports whether a request's $expand asks for a property.
func expands(r *http.Request, property string) bool {
	for name := range strings.SplitSeq(rest.Query(r, "$expand"), ",") {
		if resource.Equal(strings.TrimSpace(name), property) {
			return true
		}
	}
	return false
}

// head answers HEAD: there or not there.
func head(err error) (rest.Reply, error) {
	if f, ok := fault.From(err); ok && f.Code.Status == http.StatusNotFound {
		return rest.Status(http.StatusNotFound), nil
	}
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Status(http.StatusNoContent), nil
}
