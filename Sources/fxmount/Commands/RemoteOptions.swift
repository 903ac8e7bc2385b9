internal import ArgumentParser
internal import FXSystem

/// The keys of a remote as options of `remote add`.
struct RemoteOptions: ParsableArguments {
    @Option(help: ArgumentHelp("mft (with /vault_rest), opentera, itslearning, tus: the service.", valueName: "url"))
    var url: String?
    @Option(help: ArgumentHelp("s3: the service.", valueName: "url")) var endpoint: String?
    @Option(help: ArgumentHelp("s3: default us-east-1.", valueName: "name")) var region: String?
    @Option(help: ArgumentHelp("s3: an existing bucket.", valueName: "name")) var bucket: String?
    @Option(help: ArgumentHelp("s3: what all keys begin with.", valueName: "text")) var prefix: String?
    @Option(help: ArgumentHelp("s3: the public half of the key.", valueName: "id")) var accessKeyId: String?
    @Flag(inversion: .prefixedNo, help: "s3: the bucket in the path, or in the host name.") var pathStyle: Bool?
    @Option(help: ArgumentHelp("mft, opentera, itslearning: who logs in.", valueName: "name")) var username: String?
    @Option(help: ArgumentHelp("opentera: lets mkdir make sessions of this type.", valueName: "name"))
    var sessionType: String?
    @Option(help: ArgumentHelp("opentera: the largest request the service takes.", valueName: "size"))
    var maxBody: String?
    @Option(help: ArgumentHelp("tus: auto, flat or path: how the service knows files.", valueName: "how"))
    var layout: String?
    @Option(help: ArgumentHelp("tus: where the service serves the files, if it does.", valueName: "url"))
    var filesUrl: String?
    @Option(help: ArgumentHelp("itslearning: what gets the files; 5009 is File.", valueName: "id"))
    var extensionId: String?
    @Option(help: ArgumentHelp("itslearning: needed when the account has several.", valueName: "id"))
    var siteId: String?
    @Option(help: ArgumentHelp("itslearning: the largest file.", valueName: "size")) var maxFileSize: String?
    @Option(help: ArgumentHelp("itslearning: publish files into a Course or a Library.", valueName: "where"))
    var publishLocation: String?
    @Option(help: ArgumentHelp("itslearning: the course.", valueName: "id")) var publishCourseId: String?
    @Option(help: ArgumentHelp("itslearning: who publishes.", valueName: "id")) var publishUserId: String?
    @Option(help: ArgumentHelp("itslearning: the folder; none for the top.", valueName: "id"))
    var publishParentId: String?
    @Option(help: ArgumentHelp("local: where files are kept.", valueName: "dir")) var path: String?

    @OptionGroup(title: "Secrets (their place, never themselves)") var secrets: SecretOptions

    @Option(help: ArgumentHelp("remote or journal: what a close waits for.", valueName: "what")) var commit: String?
    @Option(help: ArgumentHelp("How long a question to the service may take.", valueName: "time"))
    var opTimeout: String?
    @Option(help: ArgumentHelp("Files sent at the same time.", valueName: "count")) var connections: String?
    @Flag(help: "Lets committed files be removed.") var delete = false
    @Option(help: ArgumentHelp("A name that looks temporary; may be given several times.", valueName: "pattern"))
    var stagingPattern: [String] = []
    @Option(help: ArgumentHelp("Certificates to trust instead of the system's.", valueName: "file"))
    var caFile: String?
    @Flag(help: "Takes any certificate. Unsafe.") var insecure = false
    @Option(help: ArgumentHelp("How old a listing may be.", valueName: "time")) var listingTtl: String?
    @Option(help: ArgumentHelp("Bytes of files a second, in each direction.", valueName: "size"))
    var rateLimit: String?

    /// What was given, by key, in the order in which it is to be written.
    func given(_ context: CommandContext) throws(CommandFailure) -> [(key: String, option: String, words: [String])] {
        var found: [(key: String, option: String, words: [String])] = []
        func add(_ key: String, _ value: String?) {
            let option = "--" + key.replacing("_", with: "-").replacing(".", with: "-")
            if let value { found.append((key, option, [value])) }
        }
        add("url", url)
        add("endpoint", endpoint)
        add("region", region)
        add("bucket", bucket)
        add("prefix", prefix)
        add("username", username)
        add("access_key_id", accessKeyId)
        found += try secrets.given(context)
        add("session_type", sessionType)
        add("extension_id", extensionId)
        add("site_id", siteId)
        add("max_file_size", maxFileSize)
        add("publish.location", publishLocation)
        add("publish.course_id", publishCourseId)
        add("publish.user_id", publishUserId)
        add("publish.parent_id", publishParentId)
        add("path_style", pathStyle.map(String.init))
        add("max_body", maxBody)
        add("layout", layout)
        add("files_url", filesUrl)
        add("path", path.map(context.absolute))
        add("commit", commit)
        add("op_timeout", opTimeout)
        add("connections", connections)
        add("delete", delete ? "true" : nil)
        if !stagingPattern.isEmpty { found.append(("staging_patterns", "--staging-pattern", stagingPattern)) }
        add("ca_file", caFile.map(context.absolute))
        add("insecure", insecure ? "true" : nil)
        add("listing_ttl", listingTtl)
        add("rate_limit", rateLimit)
        return found
    }
}

/// Where a secret is. The options that would hold one are there to refuse them with what to do instead.
struct SecretOptions: ParsableArguments {
    @Option(help: ArgumentHelp("mft, opentera, itslearning: a file of your own with mode 600.", valueName: "file"))
    var passwordFile: String?
    @Option(parsing: .upToNextOption, help: ArgumentHelp("A program that prints it.", valueName: "words"))
    var passwordCommand: [String] = []
    @Option(help: ArgumentHelp("An environment variable of the mount.", valueName: "name")) var passwordEnv: String?
    @Option(help: ArgumentHelp("A systemd credential.", valueName: "name")) var passwordCredential: String?

    @Option(help: ArgumentHelp("s3: the same for the secret half of the key.", valueName: "file"))
    var secretAccessKeyFile: String?
    @Option(parsing: .upToNextOption, help: ArgumentHelp(valueName: "words")) var secretAccessKeyCommand: [String] = []
    @Option(help: ArgumentHelp(valueName: "name")) var secretAccessKeyEnv: String?
    @Option(help: ArgumentHelp(valueName: "name")) var secretAccessKeyCredential: String?

    @Option(help: ArgumentHelp("mft: the same for an API key; tus: for a bearer token.", valueName: "file"))
    var tokenFile: String?
    @Option(parsing: .upToNextOption, help: ArgumentHelp(valueName: "words")) var tokenCommand: [String] = []
    @Option(help: ArgumentHelp(valueName: "name")) var tokenEnv: String?
    @Option(help: ArgumentHelp(valueName: "name")) var tokenCredential: String?

    @Option(help: .hidden) var password: String?
    @Option(help: .hidden) var secretAccessKey: String?
    @Option(help: .hidden) var token: String?

    func given(_ context: CommandContext) throws(CommandFailure) -> [(key: String, option: String, words: [String])] {
        for (name, value) in [("password", password), ("secret-access-key", secretAccessKey), ("token", token)]
        where value != nil {
            throw CommandFailure(
                .usage,
                "a secret on the command line can be seen by everybody on this machine, and stays in the history",
                hint: "put it into a file of its own with mode 600 and pass --\(name)-file FILE; and change the secret")
        }
        let all: [(String, String?, [String], String?, String?)] = [
            ("password", passwordFile, passwordCommand, passwordEnv, passwordCredential),
            (
                "secret_access_key", secretAccessKeyFile, secretAccessKeyCommand, secretAccessKeyEnv,
                secretAccessKeyCredential
            ),
            ("token", tokenFile, tokenCommand, tokenEnv, tokenCredential),
        ]
        var found: [(key: String, option: String, words: [String])] = []
        for (stem, file, command, variable, credential) in all {
            let words = [
                ("file", file.map { [context.absolute($0)] }), ("command", command.isEmpty ? nil : command),
                ("env", variable.map { [$0] }), ("credential", credential.map { [$0] }),
            ]
            for (end, words) in words {
                guard let words else { continue }
                let key = "\(stem)_\(end)"
                found.append((key, "--" + key.replacing("_", with: "-"), words))
            }
        }
        return found
    }
}
