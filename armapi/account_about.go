package armapi

import (
	"fmt"
	"net/http"

	"latchkey/account"
	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
	"latchkey/rest"
)

// batchRoutes are what Azure tells about Batch beside its accounts, and the parts of
// an account that nobody can have here: asked for a list, it is empty.
func (d *Door) batchRoutes() {
	const (
		inSubscription = inSubscription + "/providers/Microsoft.Batch/locations/{location}"
		one            = inGroup + "/providers/Microsoft.Batch/batchAccounts/{account}"
	)
	d.handle("GET "+inSubscription+"/virtualMachineSkus", d.virtualMachineSizes)
	d.handle("GET "+inSubscription+"/cloudServiceSkus", d.cloudServiceSizes)
	d.handle("GET "+one+"/privateLinkResources", d.privateLinkResources)
	d.handle("GET "+one+"/privateLinkResources/{part}", d.privateLinkResource)
	for _, name := range []string{"detectors", "privateEndpointConnections", "networkSecurityPerimeterConfigurations", "applications"} {
		d.handle("GET "+one+"/"+name, func(r *http.Request, who identity.Caller) (rest.Reply, error) {
			if _, err := d.Accounts.Open(r.Context(), who, accountAddress(r)); err != nil {
				return rest.Reply{}, err
			}
			return rest.OK(list[struct{}]{Value: []struct{}{}}), nil
		})
		d.handle("GET "+one+"/"+name+"/{part...}", d.noPart(name))
	}
	const connections = "Microsoft.Batch/batchAccounts/privateEndpointConnections/"
	d.handle("PATCH "+one+"/privateEndpointConnections/{part}", func(r *http.Request, who identity.Caller) (rest.Reply, error) {
		if err := d.Directory.Require(r.Context(), who, connections+"write", accountAddress(r).ID()); err != nil {
			return rest.Reply{}, err
		}
		return d.noPart("privateEndpointConnections")(r, who)
	})
	d.handle("DELETE "+one+"/privateEndpointConnections/{part}", func(r *http.Request, who identity.Caller) (rest.Reply, error) {
		if err := d.Directory.Require(r.Context(), who, connections+"delete", accountAddress(r).ID()); err != nil {
			return rest.Reply{}, err
		}
		if _, err := d.Accounts.Open(r.Context(), who, accountAddress(r)); err != nil {
			return rest.Reply{}, err
		}
		// What is not there counts as deleted.
		return rest.Status(http.StatusNoContent), nil
	})
	for _, method := range []string{"PUT", "PATCH", "DELETE", "POST"} {
		d.handle(method+" "+one+"/applications/{path...}", func(*http.Request, identity.Caller) (rest.Reply, error) {
			return rest.Reply{}, unsupported("The storing of application packages")
		})
	}
}

// noPart answers for a part that no account has.
func (d *Door) noPart(name string) rest.Handler {
	return func(r *http.Request, who identity.Caller) (rest.Reply, error) {
		a, err := d.Accounts.Open(r.Context(), who, accountAddress(r))
		if err != nil {
			return rest.Reply{}, err
		}
		return rest.Reply{}, fault.NotFound.New("The Resource '%s/%s/%s' under resource group '%s' was not found.", account.Type, name, r.PathValue("part"), a.Group)
	}
}

type dependencyOut struct {
	Category  string             `json:"category"`
	Endpoints []dependencyDomain `json:"endpoints"`
}

type dependencyDomain struct {
	DomainName  string           `json:"domainName"`
	Description string           `json:"description"`
	Details     []dependencyPort `json:"endpointDetails"`
}

type dependencyPort struct {
	Port int `json:"port"`
}

// accountDependencies tells what nodes of the account must be able to reach.
func (d *Door) accountDependencies(r *http.Request, who identity.Caller) (rest.Reply, error) {
	a, err := d.Accounts.Open(r.Context(), who, accountAddress(r))
	if err != nil {
		return rest.Reply{}, err
	}
	domain := func(name, description string) dependencyDomain {
		return dependencyDomain{name, description, []dependencyPort{{443}}}
	}
	return rest.OK(list[dependencyOut]{Value: []dependencyOut{
		{"Azure Batch", []dependencyDomain{
			domain(a.Endpoint, "Applicable to job manager tasks, tasks that use job scoped authentication, or any task that makes calls to Batch."),
			domain(a.Location+".service."+d.Cloud.Batch, "Applicable to all Azure Batch pools."),
		}},
		{"Azure Key Vault", []dependencyDomain{
			domain("*."+d.Cloud.Vault, "Applicable to tasks that read keys with the identity of their pool."),
		}},
	}}), nil
}

type sizeOut struct {
	Name         string           `json:"name"`
	Family       string           `json:"familyName"`
	Capabilities []sizeCapability `json:"capabilities"`
}

type sizeCapability struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// sizes are the sizes that are announced. A node is a part of the machine that it runs
// on, so a size is a name here; pools take any.
var sizes = func() (out []sizeOut) {
	for _, family := range []struct {
		name, format string
		memory       int // GiB for each core
		cores        []int
	}{
		{"standardAv2Family", "Standard_A%d_v2", 2, []int{1, 2, 4, 8}},
		{"standardDSv3Family", "Standard_D%ds_v3", 4, []int{2, 4, 8, 16, 32, 48, 64}},
		{"standardDDSv5Family", "Standard_D%dds_v5", 4, []int{2, 4, 8, 16, 32, 48, 64, 96}},
		{"standardESv3Family", "Standard_E%ds_v3", 8, []int{2, 4, 8, 16, 20, 32, 48, 64}},
		{"standardFSv2Family", "Standard_F%ds_v2", 2, []int{2, 4, 8, 16, 32, 48, 64, 72}},
	} {
		for _, n := range family.cores {
			out = append(out, sizeOut{fmt.Sprintf(family.format, n), family.name, []sizeCapability{
				{"vCPUs", fmt.Sprint(n)},
				{"vCPUsAvailable", fmt.Sprint(n)},
				{"MemoryGB", fmt.Sprint(n * family.memory)},
				{"CpuArchitectureType", "x64"},
				{"LowPriorityCapable", "True"},
			}})
		}
	}
	return out
}()

func (d *Door) virtualMachineSizes(r *http.Request, who identity.Caller) (rest.Reply, error) {
	if _, err := d.Accounts.Quota(r.Context(), who, r.PathValue("sub"), r.PathValue("location")); err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(list[sizeOut]{Value: sizes}), nil
}

// cloudServiceSizes is empty: cloud services are no more.
func (d *Door) cloudServiceSizes(r *http.Request, who identity.Caller) (rest.Reply, error) {
	if _, err := d.Accounts.Quota(r.Context(), who, r.PathValue("sub"), r.PathValue("location")); err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(list[sizeOut]{Value: []sizeOut{}}), nil
}

type privateLinkOut struct {
	ID         string                   `json:"id"`
	Name       string                   `json:"name"`
	Type       string                   `json:"type"`
	Properties privateLinkPropertiesOut `json:"properties"`
}

type privateLinkPropertiesOut struct {
	GroupID         string   `json:"groupId"`
	RequiredMembers []string `json:"requiredMembers"`
	RequiredZones   []string `json:"requiredZoneNames"`
}

// privateLinkResources tells what of an account could be linked; the network here has
// no links.
func (d *Door) privateLinkResources(r *http.Request, who identity.Caller) (rest.Reply, error) {
	a, err := d.Accounts.Open(r.Context(), who, accountAddress(r))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(listOf(privateLinks, func(name string) privateLinkOut { return d.privateLink(a, name) })), nil
}

func (d *Door) privateLinkResource(r *http.Request, who identity.Caller) (rest.Reply, error) {
	a, err := d.Accounts.Open(r.Context(), who, accountAddress(r))
	if err != nil {
		return rest.Reply{}, err
	}
	for _, name := range privateLinks {
		if resource.Equal(name, r.PathValue("part")) {
			return rest.OK(d.privateLink(a, name)), nil
		}
	}
	return d.noPart("privateLinkResources")(r, who)
}

// privateLinks are the parts of an account that have addresses of their own.
var privateLinks = []string{"batchAccount", "nodeManagement"}

func (d *Door) privateLink(a account.Account, name string) privateLinkOut {
	return privateLinkOut{
		ID: a.ID + "/privateLinkResources/" + name, Name: name, Type: account.Type + "/privateLinkResources",
		Properties: privateLinkPropertiesOut{name, []string{name}, []string{"privatelink." + d.Cloud.Batch}},
	}
}
