import FXSystem
import ServiceFixtures
import Testing

/// The service is what `protocols/opswat-mft.md` section 6 says, every switch included.
@Suite struct MFTServiceTests {
    private func file(_ client: MFTHandClient, _ bytes: [UInt8], in group: String, name: String = "a.bin") throws
        -> String
    {
        let id = try client.fileID(name, size: bytes.count, in: group)
        if !bytes.isEmpty { #expect(try client.chunk(bytes, at: 0, of: id, in: group).status == 200) }
        #expect(try client.completeFile(id, in: group).status == 200)
        return id
    }

    @Test func `the five steps of a transfer, as the documentation shows them`() throws {
        let service = try MFTControl()
        let client = try MFTHandClient(service)
        let opened = try client.ask("GET", "/transfer", [("group_id", MFTHandClient.group)])
        #expect(opened.json?["group_id"]?.string == "6f1c9d0e8a574c9b9d0e2f6f0a1b2c3d")
        #expect(opened.json?["owner"]?["username"]?.string == "user1")
        let group = try #require(opened.json?["group_id"]?.string)
        let id = try client.fileID("a.bin", size: 10, in: group, [("path", "in\\x")])
        #expect(id.count == 32)
        // In any order, with the digest.
        #expect(try client.chunk([6, 7, 8, 9, 10], at: 5, of: id, in: group).status == 200)
        let first: [UInt8] = [1, 2, 3, 4, 5]
        let patched = try client.chunk(first, at: 0, of: id, in: group, md5: MFTHandClient.md5(first))
        #expect(patched.json?["result"]?.string == "success")
        #expect(try client.completeFile(id, in: group).json?["result"]?.string == "success")
        // Nothing can be seen before the group is complete.
        #expect(try client.ask("GET", "/file/status/\(id)").status == 404)
        #expect(try client.ask("GET", "/file/\(id)").status == 404)
        #expect(try client.ask("GET", "/files/my/0/10").json?["filter_count"]?.integer == 0)
        let done = try client.completeGroup(group, [("expires_after", "30:00:00")])
        #expect(done.status == 200)
        // Slashes are escaped, and the URLs lead elsewhere.
        #expect(done.text.contains(#"http:\/\/127.0.0.1:"#))
        let urls = try #require(done.json?["files"]?.elements?.first)
        #expect(urls["file_id"]?.string == id)
        for key in ["group_id", "file_url", "status_url", "web_url", "folder_url"] { #expect(urls[key]?.string != nil) }
        #expect(urls["file_url"]?.string?.contains(":\(service.port)/") == false)
        #expect(try client.ask("GET", "/file/\(id)").body == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
        #expect(try service.groups().first?.expiresAfter == "30:00:00")
        #expect(try service.files().first?.sha256 == sha256Text([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]))
    }

    @Test func `log-in with a line break, a colon, a PIN, and what refuses it`() throws {
        let service = try MFTControl()
        #expect(try MFTHandClient.login(service, "user1\r\nuser1-secret").json?["token"]?.string?.count == 30)
        #expect(try MFTHandClient.login(service, "user1:user1-secret").status == 200)
        #expect(try MFTHandClient.login(service, "user1\r\nwrong").status == 403)
        #expect(try MFTHandClient.login(service, "314159").status == 403)
        try service.set(["accepts_colon": false, "accepts_pin": true])
        #expect(try MFTHandClient.login(service, "user1:user1-secret").status == 403)
        #expect(try MFTHandClient.login(service, "314159").status == 200)
        try service.set(["login_shape": "reference"])
        let answer = try MFTHandClient.login(service, "user1\r\nuser1-secret")
        #expect(answer.json?["Result"]?.string == "Success")
        #expect(answer.json?["Token"]?.string?.count == 30)
        let refused = try MFTHandClient.login(service, "user1\r\nwrong")
        #expect(refused.status == 200 && refused.json?["Result"]?.string == "ErrorInvalidCredentials")
        try service.change(user: ["username": "user1", "standing": "mfa"])
        #expect(
            try MFTHandClient.login(service, "user1\r\nuser1-secret").json?["Result"]?.string == "ErrorMfaRequired")
        try service.change(user: ["username": "user1", "standing": "stale"])
        #expect(try MFTHandClient.login(service, "user1\r\nuser1-secret").status == 409)
        try service.set(["directory_down": true])
        #expect(try MFTHandClient.login(service, "user1\r\nuser1-secret").status == 417)
    }

    @Test func `tokens are extended, end and are killed, with either status`() throws {
        let service = try MFTControl()
        try service.set(["times_end_with_z": false])
        let client = try MFTHandClient(service)
        let extended = try client.ask("PUT", "/token", [("ExtendBy", "01:30:00")])
        #expect(extended.json?["token"]?.string == client.token)
        #expect(extended.json?["expires"]?.string?.hasSuffix("Z") == false)
        #expect(try client.ask("PUT", "/token", [("ExtendBy", "24:00:00")]).status == 401)
        try service.expireTokens()
        #expect(try client.ask("GET", "/root_folder").status == 401)
        try service.set(["expired_status": 403])
        #expect(try client.ask("GET", "/root_folder").status == 403)
        let other = try MFTHandClient(service)
        #expect(try other.ask("DELETE", "/authenticate").json?["token"]?.string == other.token)
        #expect(try other.ask("GET", "/root_folder").status == 403)
        try service.set(["token_requests": 2])
        let short = try MFTHandClient(service)
        #expect(try short.ask("GET", "/root_folder").status == 200)
        #expect(try short.ask("GET", "/root_folder").status == 200)
        #expect(try short.ask("GET", "/root_folder").status == 403)
    }

    @Test func `a group belongs to its user, whatever the token`() throws {
        let service = try MFTControl()
        let owner = try MFTHandClient(service)
        let group = try owner.openGroup()
        let id = try owner.fileID("a", size: 3, in: group)
        for stranger in [
            try MFTHandClient(service, "user2", "user2-secret"), try MFTHandClient(service, "admin", "admin-secret"),
        ] {
            #expect(try stranger.openFile("b", size: 1, in: group).status == 403)
            #expect(try stranger.chunk([1, 2, 3], at: 0, of: id, in: group).status == 403)
            #expect(try stranger.completeFile(id, in: group).status == 403)
            #expect(try stranger.completeGroup(group).status == 403)
            #expect(try stranger.ask("DELETE", "/transfer", [("group_id", group)]).status == 403)
        }
        let second = try MFTHandClient(service)
        #expect(try second.chunk([1, 2, 3], at: 0, of: id, in: group).status == 200)
    }

    @Test func `required and malformed parameters have one status, which can be chosen`() throws {
        let service = try MFTControl()
        for status in [401, 400] {
            try service.set(.object([.init("invalid_parameter_status", .integer(Int64(status)))]))
            let client = try MFTHandClient(service)
            let group = try client.openGroup()
            #expect(try client.ask("GET", "/transfer", [("group_id", "7")]).status == status)
            #expect(
                try client.ask("GET", "/transfer", [("group_id", "6f1c9d0e-8a57-1c9b-9d0e-2f6f0a1b2c3d")]).status
                    == status)
            for wrong in [
                ("transfer_method", "Pour"), ("file_size", "ten"), ("file_size", "-1"), ("file_name", "a\\b"),
            ] {
                #expect(try client.openFile("a", size: 3, in: group, [wrong]).status == status)
            }
            let id = try client.fileID("a", size: 3, in: group)
            #expect(try client.chunk([1], at: nil, of: id, in: group).status == status)
            #expect(try client.ask("PATCH", "/transfer_file", [("group_id", group)], body: [1]).status == status)
            #expect(try client.ask("POST", "/transfer").status == status)
            for life in ["30", "x:00:00", "1:24:00", "1:00:60", "10675200:00:00", "1:00:00:60"] {
                #expect(try client.completeGroup(group, [("expires_after", life)]).status == status)
            }
            #expect(
                try client.completeGroup(group, [("expires_after", "1:00:00"), ("expires", "x")]).status == status)
            // A query is no parameter.
            #expect(try client.ask("POST", "/transfer?group_id=\(group)").status == status)
            #expect(try client.ask("DELETE", "/transfer", [("group_id", group)]).status == 200)
            try service.reset()
        }
    }

    @Test func `chunks: sizes, ends, digests, holes, a second time`() throws {
        let service = try MFTControl()
        try service.set(["s3_temp": true, "minimum_chunk": 100, "maximum_chunk": 200])
        let client = try MFTHandClient(service)
        let group = try client.openGroup()
        let id = try client.fileID("a", size: 250, in: group)
        let chunk = patterned(100, seed: 1)
        #expect(try client.chunk(patterned(99, seed: 1), at: 0, of: id, in: group).status == 400)
        #expect(try client.chunk(patterned(201, seed: 1), at: 0, of: id, in: group).status == 413)
        #expect(try client.chunk(chunk, at: 200, of: id, in: group).status == 400)
        #expect(try client.chunk(chunk, at: 0, of: id, in: group, md5: "00").status == 400)
        #expect(try client.completeFile(id, in: group).status == 400)
        #expect(try client.completeGroup(group).status == 400)
        #expect(try client.chunk(chunk, at: 100, of: id, in: group).status == 200)
        #expect(try client.chunk(chunk, at: 0, of: id, in: group, md5: MFTHandClient.md5(chunk)).status == 200)
        // Only the one that ends the file may be smaller.
        #expect(try client.chunk(patterned(50, seed: 2), at: 200, of: id, in: group).status == 200)
        let other = patterned(100, seed: 3)
        #expect(try client.chunk(other, at: 0, of: id, in: group).status == 200)
        try service.set(["resends": "refuse"])
        #expect(try client.chunk(chunk, at: 0, of: id, in: group).status == 400)
        #expect(try client.completeFile(id, in: group).status == 200)
        #expect(try client.completeFile(id, in: group).status == 400)
        try service.set(["repeated_completion_status": 200])
        #expect(try client.completeFile(id, in: group).status == 200)
        #expect(try service.groups().first?.files.first?.sha256 == sha256Text(other + chunk + patterned(50, seed: 2)))
    }

    @Test func `a stream is appended in the order it comes, and an empty file needs no chunk`() throws {
        let service = try MFTControl()
        let client = try MFTHandClient(service)
        let group = try client.openGroup()
        let id = try client.fileID("s", size: 6, in: group, [("transfer_method", "Stream")])
        #expect(try client.chunk([1, 2, 3], at: nil, of: id, in: group).status == 200)
        #expect(try client.chunk([4, 5, 6], at: nil, of: id, in: group).status == 200)
        #expect(try client.completeFile(id, in: group).status == 200)
        _ = try file(client, [], in: group, name: "empty")
        #expect(try client.completeGroup(group).status == 200)
        #expect(try client.ask("GET", "/file/\(id)").body == [1, 2, 3, 4, 5, 6])
        #expect(try service.files().map(\.size).sorted() == [0, 6])
    }

    @Test func `ids that are chosen twice, and groups that are not open`() throws {
        let service = try MFTControl()
        let client = try MFTHandClient(service)
        let group = try client.openGroup()
        #expect(try client.openGroup() == group)
        let chosen = ("file_id", "11111111-2222-4333-8444-555555555555")
        let id = try client.fileID("a", size: 0, in: group, [chosen])
        #expect(id == "11111111222243338444555555555555")
        #expect(try client.fileID("a", size: 0, in: group, [chosen]) == id)
        #expect(try client.openFile("other", size: 0, in: group, [chosen]).status == 400)
        try service.set(["duplicates": "refuse"])
        #expect(try client.ask("GET", "/transfer", [("group_id", MFTHandClient.group)]).status == 400)
        #expect(try client.openFile("a", size: 0, in: group, [chosen]).status == 400)
        #expect(
            try client.ask("DELETE", "/transfer_file", [("group_id", group), ("file_id", id)]).status == 200)
        #expect(try client.openFile("a", size: 0, in: group, [chosen]).status == 400)
        #expect(try client.completeGroup(group).status == 200)
        #expect(try client.completeGroup(group).status == 400)
        try service.set(["closed_group_status": 403])
        #expect(try client.openFile("late", size: 1, in: group).status == 403)
        #expect(try client.ask("DELETE", "/transfer", [("group_id", group)]).status == 403)
        try service.set(["ignores_client_ids": true])
        #expect(try client.openGroup() != group)
    }

    @Test func `quota, size, uploader groups and fields without underscores`() throws {
        let service = try MFTControl()
        let client = try MFTHandClient(service)
        let group = try client.openGroup()
        try service.set(["quota": 100, "maximum_file": 80])
        #expect(try client.openFile("a", size: 81, in: group).json?["ui_message_key"]?.string?.contains("SIZE") == true)
        #expect(try client.openFile("a", size: 80, in: group).status == 200)
        #expect(
            try client.openFile("b", size: 21, in: group).json?["ui_message_key"]?.string?.contains("QUOTA") == true)
        try service.change(user: ["username": "user1", "standing": "uploader_group"])
        let refused = try client.ask("GET", "/transfer")
        #expect(refused.status == 400)
        #expect(refused.json?["ui_message_key"]?.string == "UPLOAD_FILE_UPLOADER_GROUP_IS_REQUIRED")
        #expect(refused.json?["status_code"]?.string == "BadRequest")
        try service.change(user: ["username": "user1", "standing": "normal"])
        try service.set(["strips_underscores": true])
        #expect(try client.openGroup("22222222-2222-4333-8444-555555555555") != "22222222222243338444555555555555")
        #expect(try client.openFile("c", size: 1, in: group).status == 401)
    }

    @Test func `committed files go through their states, in both vintages`() throws {
        let service = try MFTControl()
        try service.set([
            "composing_milliseconds": 600_000, "queued_milliseconds": 0, "outcome": "BlockedNoSanitization",
        ])
        let client = try MFTHandClient(service)
        let group = try client.openGroup()
        let id = try file(client, [1, 2, 3], in: group)
        #expect(try client.completeGroup(group).status == 200)
        func state() throws -> String? {
            try client.ask("GET", "/file/status/\(id)").json?["availability_state"]?.string
        }
        #expect(try state() == "Composing")
        try service.set(["composing_milliseconds": 0, "queued_milliseconds": 600_000])
        #expect(try state() == "QueuedForProcessing")
        try service.set(["queued_milliseconds": 0, "processing_milliseconds": 600_000])
        #expect(try state() == "BeingProcessed")
        #expect(try client.ask("GET", "/file/\(id)").status == 403)
        try service.set(["processing_milliseconds": 0])
        #expect(try state() == "BlockedNoSanitization")
        try service.setOutcome("Available", of: "a.bin")
        let new = try client.ask("GET", "/file/status/\(id)")
        #expect(new.json?["size"]?.integer == 3 && new.json?["name"]?.string == "a.bin")
        try service.set(["status_vintage": "2018"])
        let old = try client.ask("GET", "/file/status/\(id)")
        #expect(old.json?["size"] == nil && old.json?["displayed_name"]?.string == "a.bin")
        #expect(old.json?["availability"]?.integer == 3)
        #expect(try client.ask("GET", "/file/status/00000000000040008000000000000000").status == 404)
        // A range is ignored unless the switch says otherwise.
        #expect(try client.ask("GET", "/file/\(id)", [("Range", "bytes=1-1")]).status == 200)
        try service.set(["ranges": true])
        let ranged = try client.ask("GET", "/file/\(id)", [("Range", "bytes=1-1")])
        #expect(ranged.status == 206 && ranged.body == [2])
        try service.set(["sanitizes": true])
        #expect(try client.ask("GET", "/file/\(id)").body == Array("sanitized:".utf8) + [1, 2, 3])
    }

    @Test func `folders are listed in pages and both shapes, and files are changed and deleted`() throws {
        let service = try MFTControl()
        let ids = try service.seed([
            "files": [["name": "a", "path": "in", "text": "one"], ["name": "b", "path": "in\\deep", "text": "two"]]
        ])
        let client = try MFTHandClient(service)
        let root = try #require(try client.ask("GET", "/root_folder").json?["folder_id"]?.string)
        let top = try client.ask("GET", "/folder_content/\(root)/0/10")
        let inner = try #require(top.json?["folders"]?.elements?.first?["folder_id"]?.string)
        let vault = try client.ask("GET", "/folder_content/\(inner)/0/10").json
        #expect(vault?["files"]?.elements?.first?["size"]?.integer == 3)
        #expect(vault?["folders"]?.elements?.first?["name"]?.string == "deep")
        try service.set(["folder_shape": "reference"])
        let first = try client.ask("GET", "/folder_content/\(inner)/0/1").json
        #expect(first?["totalCount"]?.integer == 2)
        #expect(first?["items"]?.elements?.first?["type"]?.string == "folder")
        let second = try client.ask("GET", "/folder_content/\(inner)/1/1").json
        #expect(second?["items"]?.elements?.first?["id"]?.string == ids[0])
        #expect(try client.ask("GET", "/folder_content/none/0/1").status == 404)
        func send(_ method: String, _ path: String, _ body: JSONValue) throws -> LoopbackAnswer {
            try client.ask(method, path, [("Content-Type", "application/json")], body: Array(body.text.utf8))
        }
        #expect(
            try send("PUT", "/rename_file", ["file_id": "x", "new_file_name": "y"]).text.contains("API_FILE_NOT_FOUND"))
        #expect(
            try send("PUT", "/rename_file", .object([.init("file_id", .string(ids[0])), .init("new_file_name", "y")]))
                .status == 200)
        #expect(
            try send("PUT", "/move_files", ["files": [["file_id": "x"]], "new_path": "z"]).json?.elements?.first?[
                "ui_message_key"]?.string == "API_FILE_UPDATE_NO_FILE_FOUND")
        #expect(try client.ask("DELETE", "/file/\(ids[0])").status == 200)
        let again = try client.ask("DELETE", "/file/\(ids[0])")
        #expect(again.json?["ui_message_key"]?.string == "API_CANNOTDELETEFILENOTFOUND")
        #expect(try send("DELETE", "/files", .array([.string(ids[1])])).json?["success_counter"]?.integer == 1)
    }
}
