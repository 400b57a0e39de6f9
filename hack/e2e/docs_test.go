package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// block is what a document says to type, and its mark, a comment in the line above, which nobody sees who reads:
//
//	<!-- run -->             it is run as it stands, by runDocs
//	<!-- run by FILE … -->   it is run there
//	<!-- not run: WHY -->
type block struct{ file, section, mark, commands string }

var (
	fence  = regexp.MustCompile("(?ms)^(?:<!-- ((?:run|not run)[^\n]*) -->\n)?```(sh|console)\n(.*?)^```$")
	header = regexp.MustCompile(`(?m)^## (.*)$`)
	prompt = regexp.MustCompile(`(?m)^\$ ((?:.*\\\n)*.*)$`)
)

// document is a page for people.
type document struct{ file, text string }

func documents() (all []document, err error) {
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		return nil, err
	}
	for _, file := range append(files, "../../README.md", "../../CONTRIBUTING.md") {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		all = append(all, document{filepath.Base(file), string(content)})
	}
	return all, nil
}

// blocks are those of all documents.
func blocks() (all []block, err error) {
	pages, err := documents()
	for _, page := range pages {
		text := page.text
		for _, at := range fence.FindAllStringSubmatchIndex(text, -1) {
			b := block{file: page.file, commands: text[at[6]:at[7]]}
			if at[2] >= 0 {
				b.mark = text[at[2]:at[3]]
			}
			if sections := header.FindAllStringSubmatch(text[:at[0]], -1); len(sections) > 0 {
				b.section = sections[len(sections)-1][1]
			}
			if text[at[4]:at[5]] == "console" { // With what they print.
				var commands []string
				for _, command := range prompt.FindAllStringSubmatch(b.commands, -1) {
					commands = append(commands, command[1])
				}
				b.commands = strings.Join(commands, "\n")
			}
			all = append(all, b)
		}
	}
	return all, err
}

func TestEveryCommandOfTheDocsIsRunOrSaysWhyNot(t *testing.T) {
	all, err := blocks()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 40 {
		t.Fatalf("only %d blocks of commands were found", len(all))
	}
	pages, err := documents()
	if err != nil {
		t.Fatal(err)
	}
	unseen := regexp.MustCompile("(?m)^(?:[ \\t]+```(?:sh|console)|[ \\t]*```(?:bash|shell|zsh).*)$")
	for _, page := range pages {
		for _, other := range unseen.FindAllString(page.text, -1) {
			t.Errorf("%s: %s: begin a block of commands with ```sh or ```console, at the margin", page.file, other)
		}
	}
	for _, b := range all {
		by, isBy := strings.CutPrefix(b.mark, "run by ")
		by, _, _ = strings.Cut(by, ",")
		switch {
		case strings.TrimSpace(b.commands) == "":
			t.Errorf("%s, %s: a block without a command", b.file, b.section)
		case b.mark == "run" || strings.HasPrefix(b.mark, "not run: "):
		case !isBy:
			t.Errorf("%s, %s: mark these with <!-- run -->, or who runs them, or why nobody does:\n%s", b.file, b.section, b.commands)
		default:
			if _, err := os.Stat(filepath.Join("../..", by)); err != nil {
				t.Errorf("%s, %s: run by %v", b.file, b.section, err)
			}
		}
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^):]*?)(?:#([^)]*))?\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	unsaid  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchor is what a heading is called in an address, as GitHub makes it.
func anchor(heading string) string {
	return strings.ReplaceAll(unsaid.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}

func TestTheLinksOfTheDocsLeadSomewhere(t *testing.T) {
	pages, err := documents()
	if err != nil {
		t.Fatal(err)
	}
	anchors := map[string][]string{}
	for _, page := range pages {
		for _, found := range heading.FindAllStringSubmatch(page.text, -1) {
			anchors[page.file] = append(anchors[page.file], anchor(found[1]))
		}
	}
	links := 0
	for _, page := range pages {
		folder := "../../docs"
		if page.file == "README.md" || page.file == "CONTRIBUTING.md" {
			folder = "../.."
		}
		for _, found := range link.FindAllStringSubmatch(page.text, -1) {
			links++
			file := page.file
			if found[1] != "" {
				file = filepath.Base(found[1])
				if _, err := os.Stat(filepath.Join(folder, found[1])); err != nil {
					t.Errorf("%s leads nowhere: %v", page.file, err)
				}
			}
			if known, isPage := anchors[file]; found[2] != "" && isPage && !slices.Contains(known, found[2]) {
				t.Errorf("%s: %s has no #%s", page.file, file, found[2])
			}
		}
	}
	if links < 50 {
		t.Errorf("only %d links were found", links)
	}
}

// follow does what a block says to type, in a namespace.
func (b block) follow(ctx context.Context, kubeconfig string) {
	GinkgoHelper()
	shell := exec.CommandContext(ctx, "sh", "-euxc", b.commands)
	shell.Dir = "../.."
	shell.Env = withKubectl(ctx)
	if kubeconfig != "" {
		shell.Env = append(shell.Env, "KUBECONFIG="+kubeconfig)
	}
	said, err := shell.CombinedOutput()
	AddReportEntry(b.file+", "+b.section, string(said), ReportEntryVisibilityFailureOrVerbose)
	Expect(err).NotTo(HaveOccurred(), "%s, %s:\n%s", b.file, b.section, said)
}

// runDocs does all that is marked to be run, in a namespace in which the samples have run. It begins with the page that has
// the plugin built.
func runDocs(ctx context.Context, namespace string) {
	GinkgoHelper()
	content, err := os.ReadFile(os.Getenv("KUBECONFIG"))
	Expect(err).NotTo(HaveOccurred())
	here := filepath.Join(GinkgoT().TempDir(), "kubeconfig")
	Expect(os.WriteFile(here, content, 0o600)).To(Succeed())
	kubectl(ctx, "--kubeconfig="+here, "config", "set-context", "--current", "--namespace="+namespace)
	all, err := blocks()
	Expect(err).NotTo(HaveOccurred())
	ran := 0
	for _, first := range []bool{true, false} {
		for _, b := range all {
			if b.mark == "run" && (b.file == "kubectl.md") == first {
				b.follow(ctx, here)
				ran++
			}
		}
	}
	Expect(ran).To(BeNumerically(">", 10))
}
