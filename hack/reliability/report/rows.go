package report

// Row is a line of the table of hazards.
type Row struct {
	// ID is R1 to R23, without R20, and S1 to S4.
	ID string
	// Hazard is what may go wrong, in a few words.
	Hazard string
}

// Rows are all rows, in their order.
var Rows = []Row{
	{ID: "R1", Hazard: "the operator dies, or a write fails, at any write"},
	{ID: "R2", Hazard: "two such faults in one run"},
	{ID: "R3", Hazard: "caches show what has long been otherwise"},
	{ID: "R4", Hazard: "something happens and is over before anybody looks"},
	{ID: "R5", Hazard: "watches break, again and again"},
	{ID: "R6", Hazard: "the API server is in trouble, or away"},
	{ID: "R7", Hazard: "two controllers at work at once"},
	{ID: "R8", Hazard: "a controller sleeps, and wakes when others have gone on"},
	{ID: "R9", Hazard: "clocks are wrong, or jump"},
	{ID: "R10", Hazard: "Pods and nodes are taken away before their results are saved"},
	{ID: "R11", Hazard: "orders, namespaces and the operator itself are removed in mid-run"},
	{ID: "R12", Hazard: "an order is made again under the same name"},
	{ID: "R13", Hazard: "somebody forges Pods and events"},
	{ID: "R14", Hazard: "somebody else writes to the order all the time"},
	{ID: "R15", Hazard: "orders as large as can be, and larger"},
	{ID: "R16", Hazard: "operators of two versions in turn, and a backup restored"},
	{ID: "R17", Hazard: "anything, in any order"},
	{ID: "R18", Hazard: "any spec is edited into any other"},
	{ID: "R19", Hazard: "thousands of finished orders cost something"},
	{ID: "R21", Hazard: "what has a say in admission is away"},
	{ID: "R22", Hazard: "Pods are refused, each for another reason"},
	{ID: "R23", Hazard: "a guard is missing, and no test notices"},
	{ID: "S1", Hazard: "hostile input"},
	{ID: "S2", Hazard: "a step sets more of its Pod than it may"},
	{ID: "S3", Hazard: "text that harms who looks at it"},
	{ID: "S4", Hazard: "the operator may do more than it must"},
}
