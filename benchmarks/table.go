package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// metric is a column.
type metric struct {
	key, title string
	decimals   int
	spread     bool // show the least and the greatest
	sum        bool // of all rounds, not their median
	ratio      bool // appears in the rows that compare
}

// combined is one value for all rounds.
type combined struct {
	value, least, greatest float64
	rounds                 int
}

func combine(m metric, samples []sample) combined {
	var values []float64
	for _, s := range samples {
		values = append(values, s[m.key])
	}
	if len(values) == 0 {
		return combined{}
	}
	slices.Sort(values)
	c := combined{value: median(values), least: values[0], greatest: values[len(values)-1], rounds: len(values)}
	if m.sum {
		c.value = 0
		for _, v := range values {
			c.value += v
		}
	}
	return c
}

// median of sorted values.
func median(values []float64) float64 {
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}

// table is the Markdown table of a case: a row for each server that was measured, then the ratios.
func (c *benchCase) table() string {
	head := []string{""}
	for _, m := range c.metrics {
		head = append(head, m.title)
	}
	rows := [][]string{head, rule(len(head))}
	for _, s := range c.subjects {
		if len(c.samples[s.name]) > 0 {
			rows = append(rows, c.row(s.name))
		}
	}
	for _, r := range c.ratios {
		if len(c.samples[r[0]]) > 0 && len(c.samples[r[1]]) > 0 {
			rows = append(rows, c.ratioRow(r[0], r[1]))
		}
	}
	var out strings.Builder
	for _, row := range rows {
		out.WriteString("| " + strings.Join(row, " | ") + " |\n")
	}
	return out.String()
}

func rule(columns int) []string {
	r := slices.Repeat([]string{"---:"}, columns)
	r[0] = "---"
	return r
}

func (c *benchCase) row(name string) []string {
	cells := []string{name}
	for _, m := range c.metrics {
		v := combine(m, c.samples[name])
		cell := m.format(v.value)
		if m.spread && v.rounds > 1 {
			cell += fmt.Sprintf(" (%s–%s)", m.format(v.least), m.format(v.greatest))
		}
		cells = append(cells, cell)
	}
	return cells
}

func (c *benchCase) ratioRow(over, under string) []string {
	cells := []string{"**" + over + " : " + under + "**"}
	for _, m := range c.metrics {
		cell := ""
		if m.ratio {
			cell = "**" + ratio(combine(m, c.samples[over]).value, combine(m, c.samples[under]).value) + "**"
		}
		cells = append(cells, cell)
	}
	return cells
}

// ratio says nothing about what is too little to be measured.
func ratio(over, under float64) string {
	if r := over / under; r > 0 && !math.IsInf(r, 0) {
		return strconv.FormatFloat(r, 'f', 2, 64)
	}
	return "–"
}

func (m metric) format(v float64) string { return strconv.FormatFloat(v, 'f', m.decimals, 64) }

// progress is a sample in a line.
func progress(metrics []metric, s sample) string {
	var parts []string
	for _, m := range metrics {
		parts = append(parts, m.title+" "+m.format(s[m.key]))
	}
	return strings.Join(parts, ", ")
}
