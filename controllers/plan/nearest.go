package plan

import "fmt"

const (
	// maxTypos is in how many letters a name may differ from one that was meant.
	maxTypos = 2
	// maxHints is how many problems have been found when no more names are compared: nobody reads that far, and to
	// compare thousands of names with hundreds takes seconds.
	maxHints = 16
)

// names are the names of all steps.
func (g *graph) names() []string {
	names := make([]string, 0, len(g.nodes))
	for i := range g.nodes {
		names = append(names, g.nodes[i].Name)
	}
	return names
}

// nearest asks about what may have been meant by a name that is not known.
func (c *check) nearest(name string, known []string) string {
	if len(c.found) >= maxHints {
		return ""
	}
	return Nearest(name, known)
}

// Nearest is the known name that is most like another one, as a question to whoever wrote that: ` (did you mean "plan"?)`.
// It is empty if none is alike.
func Nearest(name string, known []string) string {
	best, least := "", maxTypos+1
	for _, candidate := range known {
		if d := distance(name, candidate); d < least {
			best, least = candidate, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// distance is how many letters must be put in, taken out or replaced to make one word of the other (Levenshtein, 1966);
// if they are more than maxTypos, any larger number.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal, least := row[0], len(a)+len(b)
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(row[j+1]+1, row[j]+1, replaced)
			least = min(least, row[j+1])
		}
		if min(row[0], least) > maxTypos {
			return maxTypos + 1
		}
	}
	return row[len(b)]
}
