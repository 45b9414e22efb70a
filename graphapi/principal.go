package graphapi

import (
	"net/http"
	"slices"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
	"latchkey/rest"
)

// object is a principal or an application as it travels.
type object struct {
	Type                 string   `json:"@odata.type,omitempty"`
	ID                   string   `json:"id"`
	AppID                string   `json:"appId"`
	DisplayName          string   `json:"displayName"`
	AppDisplayName       string   `json:"appDisplayName,omitempty"`
	ServicePrincipalType string   `json:"servicePrincipalType,omitempty"`
	Names                []string `json:"servicePrincipalNames,omitempty"`
	AlternativeNames     []string `json:"alternativeNames,omitempty"`
	IdentifierURIs       []string `json:"identifierUris,omitempty"`
	AccountEnabled       *bool    `json:"accountEnabled,omitempty"`
	AppOwner             string   `json:"appOwnerOrganizationId,omitempty"`
	SignInAudience       string   `json:"signInAudience,omitempty"`
}

func (d *Door) principalOut(p identity.Principal) object {
	enabled := true
	o := object{
		ID: p.ObjectID, AppID: p.ClientID, DisplayName: p.Name, AppDisplayName: p.Name,
		ServicePrincipalType: "Application", Names: []string{p.ClientID}, AlternativeNames: []string{},
		AccountEnabled: &enabled, AppOwner: d.Directory.Tenant(),
	}
	if p.Kind == identity.KindManaged {
		o.ServicePrincipalType = "ManagedIdentity"
		// Azure writes down here whether the identity is a resource of its own.
		explicit := "isExplicit=False"
		if id, err := resource.ParseID(p.ResourceID); err == nil && id.Is(identity.UserAssignedType) {
			explicit = "isExplicit=True"
		}
		o.AlternativeNames = []string{explicit, p.ResourceID}
	}
	return o
}

func applicationOut(p identity.Principal) object {
	return object{
		ID: p.RegistrationID, AppID: p.ClientID, DisplayName: p.Name, IdentifierURIs: []string{}, SignInAudience: "AzureADMyOrg",
	}
}

// servicePrincipals lists what a $filter keeps; $select and the like may ask for less
// than they get.
func (d *Door) servicePrincipals(r *http.Request, _ identity.Caller) (rest.Reply, error) {
	keep, err := parseFilter(rest.Query(r, "$filter"))
	if err != nil {
		return rest.Reply{}, err
	}
	all, err := d.Directory.Principals(r.Context())
	if err != nil {
		return rest.Reply{}, err
	}
	found := []object{}
	for _, p := range all {
		if o := d.principalOut(p); keep(o) {
			found = append(found, o)
		}
	}
	return d.list("servicePrincipals", found), nil
}

func (d *Door) servicePrincipal(r *http.Request, _ identity.Caller) (rest.Reply, error) {
	return d.one(r, r.PathValue("id"), func(p identity.Principal, id string) bool { return resource.Equal(p.ObjectID, id) })
}

func (d *Door) servicePrincipalOfApp(r *http.Request, _ identity.Caller) (rest.Reply, error) {
	return d.one(r, r.PathValue("app"), func(p identity.Principal, id string) bool { return resource.Equal(p.ClientID, id) })
}

// directoryObject is a principal that says what it is, because the path does not.
func (d *Door) directoryObject(r *http.Request, who identity.Caller) (rest.Reply, error) {
	reply, err := d.servicePrincipal(r, who)
	if o, ok := reply.Body.(object); ok {
		o.Type = "#microsoft.graph.servicePrincipal"
		reply.Body = o
	}
	return reply, err
}

func (d *Door) one(r *http.Request, id string, is func(identity.Principal, string) bool) (rest.Reply, error) {
	p, ok, err := d.Directory.Principal(r.Context(), id)
	if err != nil {
		return rest.Reply{}, err
	}
	if !ok || !is(p, id) {
		return rest.Reply{}, missing(id)
	}
	return rest.OK(d.principalOut(p)), nil
}

func (d *Door) registrations(r *http.Request) ([]object, error) {
	all, err := d.Directory.Principals(r.Context())
	if err != nil {
		return nil, err
	}
	out := []object{}
	for _, p := range all {
		// A managed identity has a service principal and no application.
		if p.RegistrationID != "" {
			out = append(out, applicationOut(p))
		}
	}
	return out, nil
}

func (d *Door) applications(r *http.Request, _ identity.Caller) (rest.Reply, error) {
	keep, err := parseFilter(rest.Query(r, "$filter"))
	if err != nil {
		return rest.Reply{}, err
	}
	all, err := d.registrations(r)
	if err != nil {
		return rest.Reply{}, err
	}
	return d.list("applications", slices.DeleteFunc(all, func(o object) bool { return !keep(o) })), nil
}

func (d *Door) application(r *http.Request, _ identity.Caller) (rest.Reply, error) {
	return d.registration(r, r.PathValue("id"), func(o object) string { return o.ID })
}

func (d *Door) applicationOfApp(r *http.Request, _ identity.Caller) (rest.Reply, error) {
	return d.registration(r, r.PathValue("app"), func(o object) string { return o.AppID })
}

func (d *Door) registration(r *http.Request, want string, of func(object) string) (rest.Reply, error) {
	all, err := d.registrations(r)
	if err != nil {
		return rest.Reply{}, err
	}
	for _, o := range all {
		if resource.Equal(of(o), want) {
			return rest.OK(o), nil
		}
	}
	return rest.Reply{}, missing(want)
}

// maxIDs is how many ids Graph takes in one question.
const maxIDs = 1000

func (d *Door) getByIDs(r *http.Request, _ identity.Caller) (rest.Reply, error) {
	var in struct {
		IDs   []string `json:"ids"`
		Types []string `json:"types"`
	}
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	if len(in.IDs) == 0 || len(in.IDs) > maxIDs {
		return rest.Reply{}, fault.GraphBadRequest.New("'ids' must have 1 to %d items; it has %d.", maxIDs, len(in.IDs))
	}
	found := []object{}
	wanted := len(in.Types) == 0 || slices.ContainsFunc(in.Types, func(t string) bool {
		return resource.Equal(t, "servicePrincipal") || resource.Equal(t, "directoryObject")
	})
	for _, id := range in.IDs {
		p, ok, err := d.Directory.Principal(r.Context(), id)
		if err != nil {
			return rest.Reply{}, err
		}
		if ok && wanted && resource.Equal(p.ObjectID, id) {
			o := d.principalOut(p)
			o.Type = "#microsoft.graph.servicePrincipal"
			found = append(found, o)
		}
	}
	return d.list("directoryObjects", found), nil
}
