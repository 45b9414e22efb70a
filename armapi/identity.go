package armapi

import (
	"errors"
	"net/http"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
	"latchkey/rest"
	"latchkey/subscription"
)

const userAssigned = "/providers/Microsoft.ManagedIdentity/userAssignedIdentities"

func (d *Door) identityRoutes() {
	const one = inGroup + userAssigned + "/{identity}"
	d.handle("PUT "+one, d.putIdentity)
	d.handle("PATCH "+one, d.patchIdentity)
	d.handle("GET "+one, d.getIdentity)
	d.handle("HEAD "+one, d.headIdentity)
	d.handle("DELETE "+one, d.deleteIdentity)
	d.handle("GET "+inGroup+userAssigned, d.listIdentities)
	d.handle("GET "+inSubscription+userAssigned, d.listIdentities)
	d.handle("GET /{scope...}/providers/Microsoft.ManagedIdentity/identities/default", d.getSystemIdentity)
	// An identity of ours has no federated credentials and cannot get one. An empty
	// list would say that one has only to be added.
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		d.handle(method+" "+one+"/federatedIdentityCredentials/{credential}", d.federated)
	}
	d.handle("GET "+one+"/federatedIdentityCredentials", d.federated)
}

// identityActions are what roles allow on identities.
const identityActions = "Microsoft.ManagedIdentity/userAssignedIdentities"

type identityIn struct {
	Location   string            `json:"location"`
	Tags       map[string]string `json:"tags"`
	Properties struct {
		IsolationScope string `json:"isolationScope"`
	} `json:"properties"`
}

type identityPatch struct {
	Location string                        `json:"location"`
	Tags     rest.Field[map[string]string] `json:"tags"`
}

type identityOut struct {
	ID         string                `json:"id"`
	Name       string                `json:"name"`
	Type       string                `json:"type"`
	Location   string                `json:"location,omitempty"`
	Tags       map[string]string     `json:"tags"`
	Properties identityPropertiesOut `json:"properties"`
}

type identityPropertiesOut struct {
	IsolationScope string `json:"isolationScope,omitempty"`
	TenantID       string `json:"tenantId"`
	PrincipalID    string `json:"principalId"`
	ClientID       string `json:"clientId"`
}

func showIdentity(m identity.ManagedIdentity) identityOut {
	out := identityOut{
		ID: m.ResourceID, Name: m.Name, Type: identity.UserAssignedType, Location: m.Location, Tags: m.Tags,
		Properties: identityPropertiesOut{m.IsolationScope, m.TenantID, m.PrincipalID, m.ClientID},
	}
	if out.Tags == nil {
		out.Tags = map[string]string{}
	}
	return out
}

// identityID returns the id of the identity that a request is about, and asks whether
// the caller may do the verb to it.
func (d *Door) identityID(r *http.Request, who identity.Caller, verb string) (string, error) {
	id := resource.New(r.PathValue("sub"), r.PathValue("group"), "Microsoft.ManagedIdentity", "userAssignedIdentities", r.PathValue("identity"))
	return id, d.Directory.Require(r.Context(), who, identityActions+"/"+verb, id)
}

func (d *Door) putIdentity(r *http.Request, who identity.Caller) (rest.Reply, error) {
	id, err := d.identityID(r, who, "write")
	if err != nil {
		return rest.Reply{}, err
	}
	var in identityIn
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	location, err := subscription.Place(in.Location, identity.UserAssignedType)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := subscription.CheckTags(in.Tags); err != nil {
		return rest.Reply{}, err
	}
	m, created, err := d.Directory.CreateIdentity(r.Context(), identity.ManagedIdentity{
		ResourceID: id, Location: location, IsolationScope: in.Properties.IsolationScope, Tags: in.Tags,
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return made(created, showIdentity(m)), nil
}

func (d *Door) patchIdentity(r *http.Request, who identity.Caller) (rest.Reply, error) {
	id, err := d.identityID(r, who, "write")
	if err != nil {
		return rest.Reply{}, err
	}
	var in identityPatch
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	m, err := d.Directory.Identity(r.Context(), id)
	if err != nil {
		return rest.Reply{}, err
	}
	if in.Location != "" && subscription.LocationName(in.Location) != subscription.LocationName(m.Location) {
		return rest.Reply{}, fault.LocationConflict.New("The resource '%s' is in location '%s' and cannot be moved to '%s'.", m.Name, m.Location, in.Location)
	}
	if in.Tags.Set {
		if err := subscription.CheckTags(in.Tags.Value); err != nil {
			return rest.Reply{}, err
		}
		if m, err = d.Directory.TagIdentity(r.Context(), id, in.Tags.Value); err != nil {
			return rest.Reply{}, err
		}
	}
	return rest.OK(showIdentity(m)), nil
}

func (d *Door) getIdentity(r *http.Request, who identity.Caller) (rest.Reply, error) {
	id, err := d.identityID(r, who, "read")
	if err != nil {
		return rest.Reply{}, err
	}
	m, err := d.Directory.Identity(r.Context(), id)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(showIdentity(m)), nil
}

func (d *Door) headIdentity(r *http.Request, who identity.Caller) (rest.Reply, error) {
	_, err := d.getIdentity(r, who)
	return head(err)
}

func (d *Door) deleteIdentity(r *http.Request, who identity.Caller) (rest.Reply, error) {
	id, err := d.identityID(r, who, "delete")
	if err != nil {
		return rest.Reply{}, err
	}
	err = d.Directory.DeleteIdentity(r.Context(), id)
	if errors.Is(err, fault.NotFound) {
		return rest.Status(http.StatusNoContent), nil
	}
	if err != nil {
		return rest.Reply{}, err
	}
	// Roles on the identity go with it; the identity's own roles elsewhere stay, as in
	// Azure, and mean nobody.
	return rest.Status(http.StatusOK), d.Directory.DropScope(r.Context(), id)
}

func (d *Door) listIdentities(r *http.Request, who identity.Caller) (rest.Reply, error) {
	scope := "/subscriptions/" + r.PathValue("sub")
	if group := r.PathValue("group"); group != "" {
		scope = resource.GroupID(r.PathValue("sub"), group)
	}
	if err := d.Directory.Require(r.Context(), who, identityActions+"/read", scope); err != nil {
		return rest.Reply{}, err
	}
	all, err := d.Directory.Identities(r.Context(), scope)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(listOf(all, showIdentity)), nil
}

// getSystemIdentity shows the identity that a resource itself has.
func (d *Door) getSystemIdentity(r *http.Request, who identity.Caller) (rest.Reply, error) {
	scope := "/" + r.PathValue("scope")
	if err := d.Directory.Require(r.Context(), who, "Microsoft.ManagedIdentity/identities/read", scope); err != nil {
		return rest.Reply{}, err
	}
	m, err := d.Directory.Identity(r.Context(), scope)
	if err == nil && !m.System {
		err = fault.NotFound.New("The resource '%s' has no system-assigned identity.", scope)
	}
	if err != nil {
		return rest.Reply{}, err
	}
	out := showIdentity(m)
	// It is where its resource is.
	if id, err := resource.ParseID(m.ResourceID); err == nil {
		of, err := d.Subscriptions.Find(r.Context(), id)
		if err != nil {
			return rest.Reply{}, err
		}
		out.Location = of.Location
	}
	out.ID = m.ResourceID + "/providers/Microsoft.ManagedIdentity/identities/default"
	out.Name, out.Type = "default", "Microsoft.ManagedIdentity/identities"
	return rest.OK(out), nil
}

func (d *Door) federated(r *http.Request, who identity.Caller) (rest.Reply, error) {
	id, err := d.identityID(r, who, "read")
	if err != nil {
		return rest.Reply{}, err
	}
	if _, err := d.Directory.Identity(r.Context(), id); err != nil {
		return rest.Reply{}, err
	}
	return rest.Reply{}, unsupported("The resource type 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials'")
}
