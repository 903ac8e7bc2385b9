import FXSystem
import Foundation
import ServiceFixtures
import Testing

extension ServeTests {
    /// Who gets in, and what each sees.
    @Suite("Origins and consent") struct Isolation {
        private static let other = "https://other.example.org"
        /// Each operation as it would be used on the type of somebody else.
        static let probes: [(String, JSONValue)] = {
            let type: [JSONValue.Member] = [.init("entity", "hidden-entity"), .init("type", "hidden-type")]
            func body(_ more: (String, JSONValue)...) -> JSONValue { .object(type + more.map { .init($0.0, $0.1) }) }
            let two: [JSONValue.Member] = [
                .init("entity", "hidden-entity"), .init("fromType", "hidden-type"), .init("toType", "hidden-type"),
                .init("fileName", "hidden-file"),
            ]
            return [
                ("update-type", body()), ("delete-type", body()), ("exist-type", body()), ("list-type", body()),
                ("list-types", [:]), ("list-types", ["entity": "hidden-entity"]), ("list-type-content", body()),
                ("list-content", ["entity": "hidden-entity"]), ("exist-file", body(("relPath", ["hidden-file"]))),
                ("get-access-mode", body()), ("get-access-mode", body(("fileName", "hidden-file"))),
                ("get-file-info", body(("fileName", "hidden-file"))), ("create-dir", body(("relPath", ["d"]))),
                ("rename-file", body(("fileName", "hidden-file"), ("newFileName", "n"))),
                ("copy-file", .object(two + [.init("newFileName", "n")])), ("move-file", .object(two)),
                ("upload", body(("fileName", "hidden-file"))),
            ]
        }()

        @Test("Two origins never see each other's types, by any operation: an alias of the other is as good as none")
        func neverEachOthers() throws {
            let served = try Served(consents: [Served.app, Isolation.other])
            let directory = try served.map("hidden-entity", "hidden-type", for: Isolation.other)
            try "secret".write(toFile: "\(directory)/hidden-file", atomically: false, encoding: .utf8)
            let before = try Served.names(below: directory)
            for (operation, body) in Isolation.probes {
                let seen = try served.page().call(operation, body)
                // The same question about what nobody has.
                let absent = try #require(
                    JSONValue(parsing: body.text.replacingOccurrences(of: "hidden-", with: "absent-")))
                let expected = try served.page().call(operation, absent)
                #expect(seen.status == expected.status, "\(operation)")
                #expect(seen.text.replacingOccurrences(of: "hidden-", with: "absent-") == expected.text, "\(operation)")
                #expect(!seen.text.contains(directory) && !seen.text.contains("secret"), "\(operation)")
            }
            let form = try served.page().download("hidden-entity", "hidden-type", "n", [1])
            #expect(try RESTPage.code(form) == "356")
            #expect(try Served.names(below: directory) == before)
            // The owner of the type sees all of it.
            #expect(
                try served.page(Isolation.other).upload("hidden-entity", "hidden-type", "hidden-file")
                    == Array("secret".utf8))
        }

        /// The code takes one way for both: one look into a dictionary whose keys begin with the application.
        @Test("How long an answer takes does not tell whether another origin has the type")
        func timing() throws {
            let served = try Served(
                consents: [Served.app, Isolation.other], configuration: "[serve]\nrequests_per_second = 1000000\n")
            let directory = try served.map("hidden-entity", "hidden-type", for: Isolation.other)
            try "secret".write(toFile: "\(directory)/hidden-file", atomically: false, encoding: .utf8)
            let connection = try LoopbackConnection(port: served.port)
            func nanoseconds(_ prefix: String, _ operation: String) throws -> UInt64 {
                let body =
                    "{\"entity\":\"\(prefix)-entity\",\"type\":\"\(prefix)-type\",\"fileName\":\"\(prefix)-file\"}"
                let begin = ContinuousDeadline.now()
                try connection.send(
                    "POST \(RESTPage.base)\(operation) HTTP/1.1\r\nHost: localhost:\(served.port)\r\n"
                        + "Origin: \(Served.app)\r\nX-CSRF-Token: t\r\nContent-Type: application/json\r\n"
                        + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
                _ = try connection.answer()
                return begin.elapsedNanoseconds
            }
            for operation in ["exist-type", "get-file-info"] {
                var took: [String: [UInt64]] = [:]
                for round in 0..<400 {
                    // Both orders, so that neither always comes second.
                    for prefix in round % 2 == 0 ? ["hidden", "absent"] : ["absent", "hidden"] {
                        took[prefix, default: []].append(try nanoseconds(prefix, operation))
                    }
                }
                let medians = took.mapValues { $0.sorted()[$0.count / 2] }
                let ratio = Double(medians["hidden"] ?? 0) / Double(medians["absent"] ?? 1)
                // A look at the directory would be a thread and several system calls more.
                #expect(ratio > 0.67 && ratio < 1.5, "\(operation): \(medians)")
            }
        }

        @Test("A directory that another origin has under another policy is refused without a word about it")
        func overlap() throws {
            let served = try Served(consents: [Served.app, Isolation.other])
            let directory = try served.map("hidden-entity", "hidden-type", for: Isolation.other, policy: "write-once")
            let answer = try served.page().call(
                "create-type", ["entity": "e", "type": "t", "initPath": .string(directory), "modal": false])
            #expect(answer.status == 403)
            for word in ["hidden", "other.example.org", "write-once"] {
                #expect(!answer.text.contains(word), "\(answer.text)")
            }
        }

        @Test(
            "No origin, an unknown one, one without consent and a program without consent are refused; nothing of the request is done"
        )
        func refused() throws {
            let served = try Served(configuration: "[serve]\norigins = [\"https://may-ask.example.org\"]\n")
            let directory = try served.map("e", "t")
            let body: JSONValue = ["entity": "e", "type": "t", "relPath": ["d"]]
            for origin in [
                nil, "null", "https://evil.example.org", "http://app.example.org", "https://app.example.org:444",
            ] {
                let answer = try served.page(origin).call("create-dir", body)
                #expect(answer.status == 401, "\(origin ?? "none")")
                #expect(try RESTPage.code(answer) == "120")
                #expect(answer["Access-Control-Allow-Origin"] == nil)
            }
            // It may ask, and the user says no; then it is not asked again.
            for _ in 0..<2 {
                let answer = try served.page("https://may-ask.example.org").call("create-dir", body)
                #expect(answer.status == 400)
                #expect(try RESTPage.code(answer) == "500")
                #expect(answer["Access-Control-Allow-Origin"] == "https://may-ask.example.org")
            }
            #expect(served.desktop.asked.count == 1)
            #expect(try Served.names(below: directory).isEmpty)
        }

        @Test("The first use asks, and the user's yes is recorded")
        func prompt() throws {
            let origin = "https://may-ask.example.org"
            let served = try Served(configuration: "[serve]\norigins = [\"\(origin)\"]\n")
            try served.desktop.willAnswer("yes")
            #expect(try served.page(origin).data("list-types", [:])["total"] == 0)
            #expect(try served.page(origin).data("list-types", [:])["total"] == 0)
            #expect(served.desktop.asked.count == 1 && served.desktop.asked[0].contains(origin))
            let listed = try served.fxmount(["consent", "list", "--json"])
            let lines = listed.output.split(separator: "\n").compactMap { JSONValue(parsing: $0) }
            #expect(lines.first { $0["origin"]?.string == origin }?["granted_by"] == "prompt")
        }

        @Test("A running server obeys grant and revoke at once")
        func revoke() throws {
            let served = try Served(consents: [])
            #expect(try served.page().code("list-types", [:]) == "120")
            #expect(try served.fxmount(["consent", "grant", Served.app, "--days", "2"]).code == 0)
            #expect(try served.page().data("list-types", [:])["total"] == 0)
            #expect(try served.fxmount(["consent", "revoke", Served.app]).code == 0)
            #expect(try served.page().code("list-types", [:]) == "120")
            #expect(try served.fxmount(["consent", "revoke", Served.app]).code == 1)
            #expect(try served.fxmount(["consent", "grant", "app.example.org"]).code == 2)
        }

        @Test("A consent whose time is over is none, in a server that runs as well as in a new one")
        func expiry() throws {
            let served = try Served(consents: [])
            #expect(try served.fxmount(["consent", "grant", Served.app, "--days", "2"]).code == 0)
            #expect(try served.page().data("list-types", [:])["total"] == 0)
            let path = "\(served.state)/consents.json"
            let text = try String(contentsOfFile: path, encoding: .utf8)
            let end = try #require(text.firstMatch(of: /"expires":([0-9]+)/)).output.1
            try text.replacingOccurrences(of: end, with: "1767225600").write(
                toFile: path, atomically: true, encoding: .utf8)
            #expect(try served.page().code("list-types", [:]) == "120")
            #expect(try served.fxmount(["consent", "grant", Served.app, "--days", "2"]).code == 0)
            #expect(try served.page().data("list-types", [:])["total"] == 0)
        }

        @Test("An origin that may ask is asked again once its consent is over, and its no holds")
        func expiryAsksAgain() throws {
            let origin = "https://may-ask.example.org"
            let served = try Served(consents: [origin], configuration: "[serve]\norigins = [\"\(origin)\"]\n")
            #expect(try served.page(origin).data("list-types", [:])["total"] == 0)
            #expect(served.desktop.asked.isEmpty)
            let path = "\(served.state)/consents.json"
            func expire() throws {
                let text = try String(contentsOfFile: path, encoding: .utf8)
                let end = try #require(text.firstMatch(of: /"expires":([0-9]+)/)).output.1
                try text.replacingOccurrences(of: end, with: "1767225600").write(
                    toFile: path, atomically: true, encoding: .utf8)
            }
            try expire()
            try served.desktop.willAnswer("yes", "cancel")
            #expect(try served.page(origin).data("list-types", [:])["total"] == 0)
            #expect(served.desktop.asked.count == 1)
            try expire()
            #expect(try served.page(origin).code("list-types", [:]) == "500")
            #expect(try served.page(origin).code("list-types", [:]) == "500")
            #expect(served.desktop.asked.count == 2)
        }

        @Test("Consents that processes and the owner's page grant and revoke at the same time: each has its effect")
        func grantsAndRevocations() throws {
            let going = (1...6).map { "https://going-\($0).example.org" }
            let served = try Served(consents: going)
            let coming = (1...6).map { "https://coming-\($0).example.org" }
            let paged = (1...6).map { "https://paged-\($0).example.org" }
            let threads = Threads()
            for index in 0..<6 {
                threads.start {
                    let revoked = try served.fxmount(["consent", "revoke", going[index]])
                    #expect(revoked.code == 0, "\(revoked.errors)")
                }
                threads.start {
                    let granted = try served.fxmount(["consent", "grant", coming[index]])
                    #expect(granted.code == 0, "\(granted.errors)")
                }
                threads.start {
                    let body: JSONValue = ["origin": .string(paged[index])]
                    let granted = try served.owner("POST", "/fxmount/v1/consents/grant", body)
                    #expect(granted.status == 200, "\(granted.text)")
                }
            }
            try threads.join()
            for origin in coming + paged { #expect(try served.page(origin).data("list-types", [:])["total"] == 0) }
            for origin in going { #expect(try served.page(origin).code("list-types", [:]) == "120") }
        }

        @Test("Consents that several processes grant at the same time are all there")
        func manyProcesses() throws {
            let served = try Served(consents: [])
            let origins = (1...12).map { "https://app-\($0).example.org" }
            let threads = Threads()
            for origin in origins {
                threads.start {
                    let granted = try served.fxmount(["consent", "grant", origin])
                    #expect(granted.code == 0, "\(granted.errors)")
                }
            }
            try threads.join()
            for origin in origins { #expect(try served.page(origin).data("list-types", [:])["total"] == 0) }
        }

        @Test(
            "A name that only resolves to this machine is not answered to (DNS rebinding)",
            arguments: ["evil.example.org", "evil.example.org:80", ""])
        func rebinding(host: String) throws {
            let served = try Served()
            for path in ["/", "/info", "/openapi.json", RESTPage.base + "list-types", "/fxmount/v1/consents"] {
                let request =
                    "POST \(path) HTTP/1.1\r\nHost: \(host)\r\nOrigin: \(Served.app)\r\nContent-Type: application/json\r\n"
                    + "Content-Length: 2\r\nConnection: close\r\n\r\n{}"
                let answer = try LoopbackClient(port: served.port).exchange(Array(request.utf8))
                #expect(answer.status == 421, "\(path): \(answer.text)")
            }
        }

        @Test("Posts of forms from other sites are refused, also where the browser names an origin with consent")
        func crossSiteForms() throws {
            let served = try Served()
            let directory = try served.map("e", "t")
            let client = LoopbackClient(port: served.port)
            let json = Array(#"{"entity":"e","type":"t","relPath":["d"]}"#.utf8)
            for type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
                let answer = try client.request(
                    "POST", RESTPage.base + "create-dir", fields: [("Origin", Served.app), ("Content-Type", type)],
                    body: json)
                #expect(answer.status == 415)
            }
            let form = RESTPage.form(RESTPage.parts("e", "t", "f", [1]))
            let plain = try client.request(
                "POST", RESTPage.base + "download",
                fields: [("Origin", Served.app), ("Content-Type", RESTPage.formType)],
                body: form)
            #expect(plain.status == 401)
            let navigation = try client.request(
                "POST", RESTPage.base + "download",
                fields: [
                    ("Origin", Served.app), ("Content-Type", RESTPage.formType), ("X-CSRF-Token", "t"),
                    ("Sec-Fetch-Mode", "navigate"),
                ], body: form)
            #expect(navigation.status == 401)
            #expect(try Served.names(below: directory).isEmpty)
        }

        @Test("Preflights are answered for known origins only, also those of a private network")
        func preflight() throws {
            let served = try Served()
            func ask(_ origin: String) throws -> LoopbackAnswer {
                try LoopbackClient(port: served.port).request(
                    "OPTIONS", RESTPage.base + "download",
                    fields: [
                        ("Origin", origin), ("Access-Control-Request-Method", "POST"),
                        ("Access-Control-Request-Headers", "x-csrf-token"),
                        ("Access-Control-Request-Private-Network", "true"),
                    ])
            }
            let known = try ask(Served.app)
            #expect(known.status == 204 && known["Access-Control-Allow-Origin"] == Served.app)
            #expect(known["Access-Control-Allow-Headers"]?.contains("X-CSRF-Token") == true)
            #expect(known["Access-Control-Allow-Private-Network"] == "true" && known["Vary"] == "Origin")
            let unknown = try ask("https://evil.example.org")
            #expect(unknown.status == 401 && unknown["Access-Control-Allow-Origin"] == nil)
        }

        @Test("The administration is for the owner's key alone, and the owner asks for an application by name")
        func owner() throws {
            let served = try Served()
            try served.map("e", "t")
            for path in ["/fxmount/v1/consents", "/fxmount/v1/types", "/fxmount/v1/refusals"] {
                #expect(try served.owner("GET", path).status == 200, "\(path)")
                let page = try LoopbackClient(port: served.port).get(path, fields: [("Origin", Served.app)])
                #expect(page.status == 401 && !page.text.contains("app.example.org"))
                #expect(try LoopbackClient(port: served.port).get(path).status == 401)
            }
            let granted = try served.owner(
                "POST", "/fxmount/v1/consents/grant", ["origin": "https://new.example.org", "days": 3])
            #expect(granted.json?["data"]?["granted_by"] == "page")
            #expect(try served.page("https://new.example.org").data("list-types", [:])["total"] == 0)
            let revoked = try served.owner("POST", "/fxmount/v1/consents/revoke", ["origin": "https://new.example.org"])
            #expect(revoked.json?["data"] == true)
            let types = try served.owner("POST", RESTPage.base + "list-types", [:], application: "app.example.org")
            #expect(types.json?["data"]?["total"] == 1)
            #expect(try served.owner("POST", RESTPage.base + "list-types", [:]).status == 400)
            let refusals = try served.owner("GET", "/fxmount/v1/refusals").json?["data"]?.elements ?? []
            #expect(refusals.contains { $0["condition"] == "unauthorized" })
        }
    }
}
