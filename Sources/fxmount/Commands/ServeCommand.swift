internal import ArgumentParser
internal import FXMapping
internal import FXServe
internal import FXSystem
internal import Glibc

/// `fxmount serve`
struct ServeCommand: RunnableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Serves the File Exchange API to web pages and programs of this machine.",
        discussion: """
            Pages may work with files once their origin has consent: `fxmount consent grant`, or, for origins named with --origin or
            serve.origins, by a question at the first use. Stays in the foreground until SIGTERM or SIGINT; running requests end first.
            Where others than this machine can connect, TLS and a bearer token are required.

            EXAMPLES
              fxmount serve
              fxmount serve --origin https://app.example.org
              fxmount serve --listen 0.0.0.0:51983 --tls-cert chain.pem --tls-key key.pem --token-file /etc/fxmount/serve.token
            """)
    @Option(
        help: ArgumentHelp(
            "Address and port (default 127.0.0.1:51983); port 0 takes a free one.", valueName: "address:port"))
    var listen: String?
    @Option(help: ArgumentHelp("Certificate chain, PEM.", valueName: "file")) var tlsCert: String?
    @Option(help: ArgumentHelp("Its private key, PEM.", valueName: "file")) var tlsKey: String?
    @Option(help: ArgumentHelp("A file with the bearer token that callers need.", valueName: "file")) var tokenFile:
        String?
    @Option(help: ArgumentHelp("An origin that may ask for consent; * for all. May be repeated.", valueName: "origin"))
    var origin: [String] = []
    @Flag(help: "Print the description of the API (OpenAPI 3.1) and leave.") var openapi = false
    @OptionGroup var common: CommonOptions

    func perform(_ context: CommandContext) throws {
        if openapi {
            _ = context.printer.write(Array((OpenAPIDocument.json.text + "\n").utf8))
            return
        }
        // Before the first thread.
        TerminationSignals.block()
        var flags: [String: String] = [:]
        flags["serve.listen"] = listen
        flags["serve.tls_cert"] = tlsCert.map(context.absolute)
        flags["serve.tls_key"] = tlsKey.map(context.absolute)
        flags["serve.token_file"] = tokenFile.map(context.absolute)
        let configuration = try context.configuration(flags: flags)
        let directory = try context.openStateDirectory(creating: true)
        let assembly = ServeAssembly(context: context, configuration: configuration, stateDirectory: directory.path)
        var settings = try assembly.settings()
        settings.askingOrigins += origin
        if let objection = settings.objection {
            throw CommandFailure(.usage, objection, hint: "see fxmount serve --help")
        }
        let log = AccessLog(isSilent: context.printer.volume == .quiet)
        defer { log.finish() }
        try ServeRun(
            server: try assembly.server(settings, log: log),
            notifier: ServiceNotifier(environment: context.surroundings.environment)
        ).serve { [settings] port in
            announce(settings, port, context, keyFile: "\(assembly.stateDirectory)/serve.key")
        }
    }

    private func announce(_ settings: ServeSettings, _ port: UInt16, _ context: CommandContext, keyFile: String) {
        let host = settings.address.contains(":") ? "[\(settings.address)]" : settings.address
        let url = "\(settings.tls == nil ? "http" : "https")://\(host):\(port)/"
        context.printer.document([
            "url": .string(url), "port": .integer(Int64(port)), "pid": .integer(Int64(getpid())),
            "key_file": .string(keyFile),
        ])
        context.printer.confirm("serving at \(url); Ctrl-C ends it")
        // A log keeps what is written to it: the key is for eyes only.
        if isatty(STDOUT_FILENO) == 1 {
            context.printer.confirm("your page: \(url)#key=\(settings.ownerKey.reveal())")
        } else {
            context.printer.confirm("the page at that address asks for the key in \(displayed(keyFile.utf8))")
        }
    }
}
