// metrics-server, put together from its own packages. Its published command is generated for newer Kubernetes libraries
// than this node's, so the description of the API comes from Kubernetes itself; flags that the node does not use are left out.
package main

import (
	"fmt"
	"net"
	"os"
	"time"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	openapinamer "k8s.io/apiserver/pkg/endpoints/openapi"
	apiserver "k8s.io/apiserver/pkg/server"
	apiserveroptions "k8s.io/apiserver/pkg/server/options"
	"k8s.io/apiserver/pkg/util/compatibility"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/logs"
	"k8s.io/kubernetes/pkg/generated/openapi"
	"sigs.k8s.io/metrics-server/pkg/api"
	"sigs.k8s.io/metrics-server/pkg/scraper/client"
	"sigs.k8s.io/metrics-server/pkg/server"
)

const (
	kubeletPort    = 10250
	kubeletTimeout = 10 * time.Second
)

type options struct {
	serving        *apiserveroptions.SecureServingOptionsWithLoopback
	authentication *apiserveroptions.DelegatingAuthenticationOptions
	authorization  *apiserveroptions.DelegatingAuthorizationOptions
	resolution     time.Duration
	kubeletCA      string
}

func main() {
	given := options{
		serving:        apiserveroptions.NewSecureServingOptions().WithLoopback(),
		authentication: apiserveroptions.NewDelegatingAuthenticationOptions(),
		authorization:  apiserveroptions.NewDelegatingAuthorizationOptions(),
	}
	flags := pflag.NewFlagSet("metrics-server", pflag.ExitOnError)
	given.serving.AddFlags(flags)
	given.authentication.AddFlags(flags)
	given.authorization.AddFlags(flags)
	flags.DurationVar(&given.resolution, "metric-resolution", 15*time.Second, "time between two scrapes of a kubelet")
	flags.StringVar(&given.kubeletCA, "kubelet-certificate-authority", "", "file of the authority that signs kubelets")
	_ = flags.Parse(os.Args[1:])
	logs.InitLogs()
	defer logs.FlushLogs()
	if err := run(given); err != nil {
		fmt.Fprintln(os.Stderr, "metrics-server:", err)
		os.Exit(1)
	}
}

func run(given options) error {
	cluster, err := rest.InClusterConfig()
	if err != nil {
		return err
	}
	cluster.ContentType = "application/vnd.kubernetes.protobuf"
	if err := rest.SetKubernetesDefaults(cluster); err != nil {
		return err
	}
	served, err := serverConfig(given)
	if err != nil {
		return err
	}
	kubelet := rest.CopyConfig(cluster)
	kubelet.TLSClientConfig = rest.TLSClientConfig{CAFile: given.kubeletCA}
	built, err := server.Config{
		Apiserver: served,
		Rest:      cluster,
		Kubelet: &client.KubeletClientConfig{
			Client:              *kubelet,
			AddressTypePriority: []corev1.NodeAddressType{corev1.NodeInternalIP},
			Scheme:              "https",
			DefaultPort:         kubeletPort,
		},
		MetricResolution: given.resolution,
		ScrapeTimeout:    kubeletTimeout,
	}.Complete()
	if err != nil {
		return err
	}
	return built.RunUntil(apiserver.SetupSignalHandler())
}

func serverConfig(given options) (*apiserver.Config, error) {
	if err := given.serving.MaybeDefaultWithSelfSignedCerts("localhost", nil, []net.IP{net.IPv4(127, 0, 0, 1)}); err != nil {
		return nil, err
	}
	config := apiserver.NewConfig(api.Codecs)
	config.EffectiveVersion = compatibility.DefaultBuildEffectiveVersion()
	if err := given.serving.ApplyTo(&config.SecureServing, &config.LoopbackClientConfig); err != nil {
		return nil, err
	}
	if err := given.authentication.ApplyTo(&config.Authentication, config.SecureServing, nil); err != nil {
		return nil, err
	}
	if err := given.authorization.ApplyTo(&config.Authorization); err != nil {
		return nil, err
	}
	namer := openapinamer.NewDefinitionNamer(api.Scheme)
	config.OpenAPIConfig = apiserver.DefaultOpenAPIConfig(openapi.GetOpenAPIDefinitions, namer)
	config.OpenAPIV3Config = apiserver.DefaultOpenAPIV3Config(openapi.GetOpenAPIDefinitions, namer)
	config.OpenAPIConfig.Info.Title = "metrics-server"
	config.OpenAPIV3Config.Info.Title = "metrics-server"
	return config, nil
}
