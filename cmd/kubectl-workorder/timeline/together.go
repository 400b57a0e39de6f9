package timeline

import (
	"fmt"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// Together draws several pictures one below the other: whole, if the room is enough lines for that, or a line each.
func Together(pictures []Picture, style Style, room int) string {
	drawn := make([]string, 0, len(pictures))
	for i := range pictures {
		drawn = append(drawn, pictures[i].Draw(style))
	}
	if whole := strings.Join(drawn, "\n"); len(pictures) < 2 || room <= 0 || strings.Count(whole, "\n") <= room {
		return whole
	}
	lines := make([]string, 0, len(pictures))
	for i := range pictures {
		line := pictures[i].head(style)
		if pictures[i].Now != "" {
			line += "  " + style.paint(faint, pictures[i].Now)
		}
		if style.Width > 0 {
			line = ansi.Truncate(line, style.Width, "…")
		}
		lines = append(lines, line)
	}
	if rest := len(lines) - room + 1; rest > 1 {
		lines = append(lines[:room-1], style.paint(faint, fmt.Sprintf("… %d more", rest)))
	}
	return strings.Join(lines, "\n") + "\n"
}

// Warn is a text that stands out.
func Warn(text string, style Style) string {
	if style.Width > 0 {
		text = ansi.Truncate(text, style.Width, "…")
	}
	return style.paint(yellow, text)
}
