package subscription

import (
	"strings"

	"latchkey/fault"
	"latchkey/resource"
)

// A Location is a region of the public cloud. We have all of them: a region is a
// word in a resource's id and in an account's host name, and templates name whichever
// they like.
type Location struct {
	// Name is how ids spell it, Display how people do: westus2, West US 2.
	Name, Display string
	// Prefix stands before the display name in lists: US.
	Prefix string
	// Geography and Group say where data stays; Place is the nearest place, with its
	// coordinates.
	Geography, Group, Place string
	Latitude, Longitude     string
	// Pair is the region that Azure pairs it with; some have none.
	Pair string
	// Recommended regions have every service in Azure; the others are its alternates.
	Recommended bool
}

// Locations returns the regions, the recommended ones first. The slice is the
// caller's.
func Locations() []Location { return append([]Location(nil), locations...) }

// LocationName returns the form of a location in which names compare: West US 2
// becomes westus2.
func LocationName(s string) string {
	return strings.ReplaceAll(resource.Fold(strings.TrimSpace(s)), " ", "")
}

// FindLocation returns the region of a name or display name.
func FindLocation(s string) (Location, bool) {
	l, ok := byLocation[LocationName(s)]
	return l, ok
}

// Place returns the name of the location in which a resource of a full type is to be
// made. It fails with fault.LocationRequired or fault.LocationNotAvailable.
func Place(location, fullType string) (string, error) {
	if strings.TrimSpace(location) == "" {
		return "", fault.LocationRequired.New("The location property is required for this definition.")
	}
	l, ok := FindLocation(location)
	if !ok {
		return "", fault.LocationNotAvailable.New("The provided location '%s' is not available for resource type '%s'. List of available regions for the resource type is '%s'.",
			location, fullType, locationNames)
	}
	return l.Name, nil
}

var (
	byLocation    = map[string]Location{}
	locationNames string
)

func init() {
	names := make([]string, 0, len(locations))
	for _, l := range locations {
		byLocation[l.Name] = l
		names = append(names, l.Name)
	}
	locationNames = strings.Join(names, ",")
}

// locations is the table; the order is that of Azure's own list.
var locations = []Location{
	{"eastus", "East US", "US", "United States", "US", "Virginia", "37.3719", "-79.8164", "westus", true},
	{"southcentralus", "South Central US", "US", "United States", "US", "Texas", "29.4167", "-98.5", "northcentralus", true},
	{"westus2", "West US 2", "US", "United States", "US", "Washington", "47.233", "-119.852", "westcentralus", true},
	{"westus3", "West US 3", "US", "United States", "US", "Phoenix", "33.448376", "-112.074036", "eastus", true},
	{"australiaeast", "Australia East", "Asia Pacific", "Australia", "Asia Pacific", "New South Wales", "-33.86", "151.2094", "australiasoutheast", true},
	{"southeastasia", "Southeast Asia", "Asia Pacific", "Asia Pacific", "Asia Pacific", "Singapore", "1.283", "103.833", "eastasia", true},
	{"northeurope", "North Europe", "Europe", "Europe", "Europe", "Ireland", "53.3478", "-6.2597", "westeurope", true},
	{"swedencentral", "Sweden Central", "Europe", "Sweden", "Europe", "Gävle", "60.67488", "17.14127", "swedensouth", true},
	{"uksouth", "UK South", "Europe", "United Kingdom", "Europe", "London", "50.941", "-0.799", "ukwest", true},
	{"westeurope", "West Europe", "Europe", "Europe", "Europe", "Netherlands", "52.3667", "4.9", "northeurope", true},
	{"centralus", "Central US", "US", "United States", "US", "Iowa", "41.5908", "-93.6208", "eastus2", true},
	{"southafricanorth", "South Africa North", "Africa", "South Africa", "Africa", "Johannesburg", "-25.73134", "28.21837", "southafricawest", true},
	{"centralindia", "Central India", "Asia Pacific", "India", "Asia Pacific", "Pune", "18.5822", "73.9197", "southindia", true},
	{"eastasia", "East Asia", "Asia Pacific", "Asia Pacific", "Asia Pacific", "Hong Kong", "22.267", "114.188", "southeastasia", true},
	{"indonesiacentral", "Indonesia Central", "Asia Pacific", "Indonesia", "Asia Pacific", "Jakarta", "-6.208763", "106.845599", "", true},
	{"japaneast", "Japan East", "Asia Pacific", "Japan", "Asia Pacific", "Tokyo, Saitama", "35.68", "139.77", "japanwest", true},
	{"japanwest", "Japan West", "Asia Pacific", "Japan", "Asia Pacific", "Osaka", "34.6939", "135.5022", "japaneast", true},
	{"koreacentral", "Korea Central", "Asia Pacific", "Korea", "Asia Pacific", "Seoul", "37.5665", "126.978", "koreasouth", true},
	{"malaysiawest", "Malaysia West", "Asia Pacific", "Malaysia", "Asia Pacific", "Kuala Lumpur", "3.140853", "101.693207", "", true},
	{"newzealandnorth", "New Zealand North", "Asia Pacific", "New Zealand", "Asia Pacific", "Auckland", "-36.84853", "174.76349", "", true},
	{"canadacentral", "Canada Central", "Canada", "Canada", "Canada", "Toronto", "43.653", "-79.383", "canadaeast", true},
	{"austriaeast", "Austria East", "Europe", "Austria", "Europe", "Vienna", "48.2201092", "16.3797318", "", true},
	{"belgiumcentral", "Belgium Central", "Europe", "Belgium", "Europe", "Brussels", "50.8503", "4.3517", "", true},
	{"francecentral", "France Central", "Europe", "France", "Europe", "Paris", "46.3772", "2.373", "francesouth", true},
	{"germanywestcentral", "Germany West Central", "Europe", "Germany", "Europe", "Frankfurt", "50.110924", "8.682127", "germanynorth", true},
	{"italynorth", "Italy North", "Europe", "Italy", "Europe", "Milan", "45.46888", "9.18109", "", true},
	{"norwayeast", "Norway East", "Europe", "Norway", "Europe", "Norway", "59.913868", "10.752245", "norwaywest", true},
	{"polandcentral", "Poland Central", "Europe", "Poland", "Europe", "Warsaw", "52.23334", "21.01666", "", true},
	{"spaincentral", "Spain Central", "Europe", "Spain", "Europe", "Madrid", "40.4259", "3.4209", "", true},
	{"switzerlandnorth", "Switzerland North", "Europe", "Switzerland", "Europe", "Zurich", "47.451542", "8.564572", "switzerlandwest", true},
	{"mexicocentral", "Mexico Central", "Mexico", "Mexico", "Mexico", "Querétaro State", "20.588818", "-100.389888", "", true},
	{"uaenorth", "UAE North", "Middle East", "UAE", "Middle East", "Dubai", "25.266666", "55.316666", "uaecentral", true},
	{"brazilsouth", "Brazil South", "South America", "Brazil", "South America", "Sao Paulo State", "-23.55", "-46.633", "southcentralus", true},
	{"chilecentral", "Chile Central", "South America", "Chile", "South America", "Santiago", "-33.447487", "-70.673676", "", true},
	{"israelcentral", "Israel Central", "Middle East", "Israel", "Middle East", "Israel", "31.2655698", "33.4506633", "", true},
	{"qatarcentral", "Qatar Central", "Middle East", "Qatar", "Middle East", "Doha", "25.551462", "51.439327", "", true},
	{"eastus2", "East US 2", "US", "United States", "US", "Virginia", "36.6681", "-78.3889", "centralus", true},
	{"northcentralus", "North Central US", "US", "United States", "US", "Illinois", "41.8819", "-87.6278", "southcentralus", false},
	{"westus", "West US", "US", "United States", "US", "California", "37.783", "-122.417", "eastus", false},
	{"westcentralus", "West Central US", "US", "United States", "US", "Wyoming", "40.89", "-110.234", "westus2", false},
	{"southafricawest", "South Africa West", "Africa", "South Africa", "Africa", "Cape Town", "-34.075691", "18.843266", "southafricanorth", false},
	{"australiacentral", "Australia Central", "Asia Pacific", "Australia", "Asia Pacific", "Canberra", "-35.3075", "149.1244", "australiacentral2", false},
	{"australiacentral2", "Australia Central 2", "Asia Pacific", "Australia", "Asia Pacific", "Canberra", "-35.3075", "149.1244", "australiacentral", false},
	{"australiasoutheast", "Australia Southeast", "Asia Pacific", "Australia", "Asia Pacific", "Victoria", "-37.8136", "144.9631", "australiaeast", false},
	{"jioindiacentral", "Jio India Central", "Asia Pacific", "India", "Asia Pacific", "Nagpur", "21.146633", "79.08886", "jioindiawest", false},
	{"jioindiawest", "Jio India West", "Asia Pacific", "India", "Asia Pacific", "Jamnagar", "22.470701", "70.05773", "jioindiacentral", false},
	{"koreasouth", "Korea South", "Asia Pacific", "Korea", "Asia Pacific", "Busan", "35.1796", "129.0756", "koreacentral", false},
	{"southindia", "South India", "Asia Pacific", "India", "Asia Pacific", "Chennai", "12.9822", "80.1636", "centralindia", false},
	{"westindia", "West India", "Asia Pacific", "India", "Asia Pacific", "Mumbai", "19.088", "72.868", "southindia", false},
	{"canadaeast", "Canada East", "Canada", "Canada", "Canada", "Quebec", "46.817", "-71.217", "canadacentral", false},
	{"francesouth", "France South", "Europe", "France", "Europe", "Marseille", "43.8345", "2.1972", "francecentral", false},
	{"germanynorth", "Germany North", "Europe", "Germany", "Europe", "Berlin", "53.073635", "8.806422", "germanywestcentral", false},
	{"norwaywest", "Norway West", "Europe", "Norway", "Europe", "Norway", "58.969975", "5.733107", "norwayeast", false},
	{"swedensouth", "Sweden South", "Europe", "Sweden", "Europe", "Malmö", "55.60587", "13.00073", "swedencentral", false},
	{"switzerlandwest", "Switzerland West", "Europe", "Switzerland", "Europe", "Geneva", "46.204391", "6.143158", "switzerlandnorth", false},
	{"ukwest", "UK West", "Europe", "United Kingdom", "Europe", "Cardiff", "53.427", "-3.084", "uksouth", false},
	{"uaecentral", "UAE Central", "Middle East", "UAE", "Middle East", "Abu Dhabi", "24.466667", "54.366669", "uaenorth", false},
	{"brazilsoutheast", "Brazil Southeast", "South America", "Brazil", "South America", "Rio", "-22.90278", "-43.2075", "brazilsouth", false},
}
