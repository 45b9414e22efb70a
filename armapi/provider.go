package armapi

import (
	"net/http"
	"slices"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/rest"
	"latchkey/subscription"
)

func (d *Door) providerRoutes() {
	d.handle("GET /providers", d.listProviders)
	d.handle("GET /providers/{namespace}", d.getProvider)
	d.handle("GET "+inSubscription+"/providers", d.listProviders)
	d.handle("GET "+inSubscription+"/providers/{namespace}", d.getProvider)
	d.handle("GET "+inSubscription+"/providers/{namespace}/resourceTypes", d.listProviderTypes)
	d.handle("POST "+inSubscription+"/providers/{namespace}/register", d.registerProvider(true))
	d.handle("POST "+inSubscription+"/providers/{namespace}/unregister", d.registerProvider(false))
	d.handle("GET /providers/{namespace}/operations", d.listActions)
}

type providerOut struct {
	ID                 string            `json:"id"`
	Namespace          string            `json:"namespace"`
	ResourceTypes      []providerTypeOut `json:"resourceTypes"`
	RegistrationState  string            `json:"registrationState,omitempty"`
	RegistrationPolicy string            `json:"registrationPolicy,omitempty"`
}

type providerTypeOut struct {
	ResourceType string   `json:"resourceType"`
	Locations    []string `json:"locations"`
	APIVersions  []string `json:"apiVersions"`
	Capabilities string   `json:"capabilities"`
}

// showProvider renders a provider as a subscription sees it; with no subscription, as
// the tenant does.
func showProvider(sub string, p subscription.Provider) providerOut {
	out := providerOut{
		ID: "/providers/" + p.Namespace, Namespace: p.Namespace,
		ResourceTypes: listOf(p.Types, showProviderType).Value,
	}
	if sub == "" {
		return out
	}
	out.ID = "/subscriptions/" + sub + out.ID
	out.RegistrationState, out.RegistrationPolicy = "NotRegistered", "RegistrationRequired"
	if p.Registered {
		out.RegistrationState = "Registered"
	}
	if p.Free {
		out.RegistrationPolicy = "RegistrationFree"
	}
	return out
}

func showProviderType(t subscription.ProviderType) providerTypeOut {
	out := providerTypeOut{ResourceType: t.Name, Locations: []string{}, APIVersions: t.Versions, Capabilities: "None"}
	if t.Regional {
		for _, l := range subscription.Locations() {
			out.Locations = append(out.Locations, l.Display)
		}
	}
	if t.Tags {
		out.Capabilities = "SupportsTags, SupportsLocation"
	}
	if t.Identity {
		out.Capabilities = "SystemAssignedResourceIdentity, " + out.Capabilities
	}
	return out
}

// provider returns the provider that a request names.
func (d *Door) provider(r *http.Request) (subscription.Provider, error) {
	namespace := r.PathValue("namespace")
	if sub := r.PathValue("sub"); sub != "" {
		return d.Subscriptions.Provider(r.Context(), sub, namespace)
	}
	p, ok := subscription.KnownProvider(namespace)
	if !ok {
		return p, fault.InvalidResourceNamespace.New("The resource namespace '%s' is invalid.", namespace)
	}
	return p, nil
}

func (d *Door) listProviders(r *http.Request, _ identity.Caller) (rest.Reply, error) {
	sub := r.PathValue("sub")
	providers := subscription.KnownProviders()
	if sub != "" {
		var err error
		if providers, err = d.Subscriptions.Providers(r.Context(), sub); err != nil {
			return rest.Reply{}, err
		}
	}
	return rest.OK(listOf(providers, func(p subscription.Provider) providerOut { return showProvider(sub, p) })), nil
}

func (d *Door) getProvider(r *http.Request, _ identity.Caller) (rest.Reply, error) {
	p, err := d.provider(r)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(showProvider(r.PathValue("sub"), p)), nil
}

func (d *Door) listProviderTypes(r *http.Request, _ identity.Caller) (rest.Reply, error) {
	p, err := d.provider(r)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(listOf(p.Types, showProviderType)), nil
}

func (d *Door) registerProvider(on bool) rest.Handler {
	return func(r *http.Request, who identity.Caller) (rest.Reply, error) {
		p, err := d.Subscriptions.Register(r.Context(), who, r.PathValue("sub"), r.PathValue("namespace"), on)
		if err != nil {
			return rest.Reply{}, err
		}
		return rest.OK(showProvider(r.PathValue("sub"), p)), nil
	}
}

type actionOut struct {
	Name         string        `json:"name"`
	IsDataAction *bool         `json:"isDataAction,omitempty"`
	Display      actionDisplay `json:"display"`
	Origin       string        `json:"origin,omitempty"`
}

type actionDisplay struct {
	Provider    string `json:"provider"`
	Resource    string `json:"resource"`
	Operation   string `json:"operation"`
	Description string `json:"description"`
}

// listActions lists what roles can allow on the types of a provider.
func (d *Door) listActions(r *http.Request, _ identity.Caller) (rest.Reply, error) {
	p, err := d.provider(r)
	if err != nil {
		return rest.Reply{}, err
	}
	actions := p.Actions()
	// Namespaces without data actions have no word for them in their documents.
	hasData := slices.ContainsFunc(actions, func(a subscription.Action) bool { return a.Data })
	return rest.OK(listOf(actions, func(a subscription.Action) actionOut {
		out := actionOut{Name: a.Name, Display: actionDisplay{p.Namespace, a.Resource, a.Operation, a.Operation + "."}}
		if hasData {
			out.IsDataAction, out.Origin = &a.Data, "user,system"
		}
		return out
	})), nil
}
