module github.com/goser-project/goser

go 1.25.0

require (
	github.com/emiago/sipgo v1.7.2
	github.com/stretchr/testify v1.12.1
	golang.org/x/sys v0.44.0
)

require (
	github.com/gobwas/httphead v0.1.0 // indirect
	github.com/gobwas/pool v0.2.1 // indirect
	github.com/gobwas/ws v1.3.2 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/icholy/digest v1.2.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sync v0.22.0 // indirect
)
