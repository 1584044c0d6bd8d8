"""What modulestack.yaml grants, and what it does not, for parameters as Seed-Farmer hands them over."""

import string
import unittest

import yaml
from policy import TEMPLATE, Loader, Template, examine, review, size

ECR = "arn:aws:ecr:us-east-1:123456789012:repository/"
MARK = "-dkr-img-rep-md-us-east-1-123456789012"
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:"
KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
PUSH = ["BatchCheckLayerAvailability", "BatchGetImage", "InitiateLayerUpload", "UploadLayerPart",
        "CompleteLayerUpload", "PutImage"]
SETTINGS = ["CreateRepository", "TagResource", "ListTagsForResource", "PutImageScanningConfiguration",
            "GetLifecyclePolicy", "PutLifecyclePolicy", "GetRepositoryPolicy", "SetRepositoryPolicy"]
BUCKET = ["CreateBucket", "ListBucket", "GetBucketPolicy", "PutBucketPolicy", "GetBucketPublicAccessBlock",
          "PutBucketPublicAccessBlock", "GetEncryptionConfiguration", "PutEncryptionConfiguration",
          "GetBucketVersioning", "PutBucketVersioning", "GetBucketTagging", "PutBucketTagging"]


def statements(**parameters):
    return Template(TEMPLATE.read_text(encoding="utf-8"), parameters).statements()


def owned_by(project):
    return {"aws:ResourceTag/SeedFarmerProjectName": project}


class Policy(unittest.TestCase):
    def allowed(self, granted, action, resource="*", context=None):
        denied, _ = examine(granted, [{"action": action, "resource": resource, "context": context or {}}])
        return not denied

    def assert_allowed(self, granted, prefix, actions, resource="*", context=None):
        for action in actions:
            with self.subTest(action=action, resource=resource):
                self.assertTrue(self.allowed(granted, prefix + action, resource, context))

    def assert_denied(self, granted, prefix, actions, resource="*", context=None):
        for action in actions:
            with self.subTest(action=action, resource=resource):
                self.assertFalse(self.allowed(granted, prefix + action, resource, context))

    def test_a_deployment_with_defaults(self):
        granted = statements(FanOut="off")
        self.assert_allowed(granted, "ecr:", ["GetAuthorizationToken"])
        self.assert_allowed(granted, "ecr:", ["DescribeRepositories"], ECR + "*")
        self.assert_allowed(granted, "ecr:", PUSH + SETTINGS, ECR + "idf-quay.io/a/b", owned_by("idf"))
        self.assert_allowed(granted, "s3:", BUCKET, "arn:aws:s3:::idf" + MARK)
        document = "dev-replication-images-metadata.json"
        self.assert_allowed(granted, "s3:", ["PutObject", "GetObject"], f"arn:aws:s3:::idf{MARK}/{document}")
        proof = "dev-replication-images-closure.json"
        self.assert_allowed(granted, "s3:", ["PutObject", "GetObject"], f"arn:aws:s3:::idf{MARK}/{proof}")
        page = f"arn:aws:s3:::idf{MARK}/dev-replication-images-report.html"
        # It is read to be kept beside the result that it tells of.
        self.assert_allowed(granted, "s3:", ["PutObject", "GetObject"], page)
        kept = "replication-images-results/20261127T010203Z-1.34-0123456789ab-metadata.json"
        self.assert_allowed(granted, "s3:", ["PutObject", "GetObject", "DeleteObject"], f"arn:aws:s3:::idf{MARK}/dev-{kept}")
        self.assert_denied(granted, "s3:", ["PutObject", "DeleteObject"], f"arn:aws:s3:::idf{MARK}/other-{kept}")
        self.assertEqual({statement["Sid"] for statement in granted},
                         {"Registry", "WhatIsThere", "Repositories", "Bucket", "ResultDocument", "Proof", "ReportPage", "OtherResults",
                          "KeptResults"})
        actions = [(statement["Sid"], action) for statement in granted for action in statement["Action"]]
        self.assertFalse([action for _, action in actions if "*" in action])
        # Of the kept results, only the last ten stay.
        self.assertEqual([one for one in actions if "Delete" in one[1]], [("KeptResults", "s3:DeleteObject")])

    def test_names_of_others_are_out_of_reach(self):
        granted = statements(RetentionType="DESTROY")
        for name in ("idf", "idf2-a", "other-idf-a", "IDF-a"):
            self.assert_denied(granted, "ecr:", PUSH + ["DeleteRepository", "CreateRepository"], ECR + name)
        self.assert_denied(granted, "ecr:", PUSH, ECR.replace("us-east-1", "eu-west-1") + "idf-a")
        self.assert_denied(granted, "s3:", BUCKET + ["DeleteBucket"], "arn:aws:s3:::idf2" + MARK)
        self.assert_denied(granted, "s3:", BUCKET + ["DeleteBucket"], "arn:aws:s3:::idf" + MARK[:-1] + "3")
        for name in ("other-replication-images-metadata.json", "dev-replication-images-metadata.json2",
                     "other-replication-images-closure.json", "other-replication-images-report.html", "x"):
            self.assert_denied(granted, "s3:", ["PutObject", "DeleteObject"], f"arn:aws:s3:::idf{MARK}/{name}")
        # Results of other deployments of the project may be read, and nothing else.
        self.assert_allowed(granted, "s3:", ["GetObject"], f"arn:aws:s3:::idf{MARK}/other-replication-images-metadata.json")
        for place in (f"idf{MARK}/dev-replication-images-metadata.json2", f"idf{MARK}/x", f"idf2{MARK}/a-b-metadata.json"):
            self.assert_denied(granted, "s3:", ["GetObject"], f"arn:aws:s3:::{place}")

    def test_a_repository_that_another_project_tagged_is_left_alone(self):
        granted = statements(RetentionType="DESTROY")
        own = ECR + "idf-x-a"
        self.assert_denied(granted, "ecr:", PUSH + ["DeleteRepository", "TagResource"], own, owned_by("idf-x"))
        self.assert_allowed(granted, "ecr:", ["DeleteRepository"], own, owned_by("idf"))
        # The Python module made it.
        self.assert_allowed(granted, "ecr:", ["DeleteRepository"], own)
        self.assert_allowed(granted, "ecr:", ["ListTagsForResource"], own, owned_by("idf-x"))

    def test_projects_of_any_case_have_their_names_in_lower_case(self):
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        for project in ("MyProj", "myproj", alphabet, "Proj-2-A"):
            granted = statements(ProjectName=project)
            lower = project.lower()
            self.assert_allowed(granted, "ecr:", PUSH, f"{ECR}{lower}-a", owned_by(lower))
            self.assert_allowed(granted, "s3:", BUCKET, f"arn:aws:s3:::{lower}{MARK}")
            document = f"arn:aws:s3:::{lower}{MARK}/dev-replication-images-metadata.json"
            self.assert_allowed(granted, "s3:", ["PutObject"], document)

    def test_one_expression_makes_the_lower_case_and_nothing_else_names_the_project_in_a_resource(self):
        def inside(node, key):
            """Every value of the key, at any depth."""
            if isinstance(node, dict):
                for name, value in node.items():
                    if name == key:
                        yield value
                    yield from inside(value, key)
            elif isinstance(node, list):
                for value in node:
                    yield from inside(value, key)

        template = Template(TEMPLATE.read_text(encoding="utf-8"), {})
        document = yaml.load(TEMPLATE.read_text(encoding="utf-8"), Loader)
        used = list(inside(document["Resources"], "Project"))
        self.assertGreater(len(used), 1)
        for expression in used:
            self.assertEqual(expression, used[0])
        for resources in inside(document["Resources"], "Resource"):
            refs = [name for name in inside(resources, "Ref") if name == "ProjectName"]
            self.assertEqual(len(refs), len(list(inside(resources, "Project"))))
            self.assertNotIn("${ProjectName}", str(resources))
        every = string.ascii_letters + string.digits + "-_." + string.ascii_uppercase[::-1]
        for name in (every, *string.ascii_letters, "AaA", "A--B", "-", ""):
            template.values["ProjectName"] = name
            self.assertEqual(template.resolve(used[0]), name.lower())

    def test_the_page_for_reviewers_is_what_the_template_grants(self):
        page = (TEMPLATE.parent / "docs/permissions.md").read_text(encoding="utf-8")
        self.assertEqual(page[page.index("| statement |"):], review(TEMPLATE.read_text(encoding="utf-8")),
                         "write it anew with tests/module/policy.py --review")

    def test_a_role_is_passed_only_to_codebuild_and_only_by_fan_out(self):
        for parameters in ({}, {"FanOut": "4"}, {"RetentionType": "DESTROY", "BlobMounting": "enable", "KmsKeyArn": KEY}):
            passing = [statement for statement in statements(**parameters) if "iam:PassRole" in statement["Action"]]
            self.assertEqual([statement["Resource"] for statement in passing],
                             [["arn:aws:iam::123456789012:role/a-role", "arn:aws:iam::123456789012:role/*/a-role"]])
            self.assertEqual(passing[0]["Condition"], {"StringLike": {"iam:PassedToService": "codebuild.amazonaws.com*"}})
            off = statements(**{**parameters, "FanOut": "off"})
            self.assertFalse([action for statement in off for action in statement["Action"]
                              if action.startswith(("iam:", "codebuild:"))])

    def test_a_shortened_bucket(self):
        granted = statements(ProjectName="a" * 35)
        name = f"arn:aws:s3:::{'a' * 18}-0a1b2c{MARK}"
        self.assert_allowed(granted, "s3:", BUCKET, name)
        self.assert_allowed(granted, "s3:", ["PutObject"], name + "/dev-replication-images-metadata.json")

    def test_deleting_takes_the_word_destroy(self):
        delete = [("ecr:", ["DeleteRepository"], ECR + "idf-a"), ("s3:", ["DeleteBucket"], "arn:aws:s3:::idf" + MARK),
                  ("s3:", ["DeleteObject"], f"arn:aws:s3:::idf{MARK}/dev-replication-images-metadata.json"),
                  ("s3:", ["DeleteObject"], f"arn:aws:s3:::idf{MARK}/dev-replication-images-closure.json"),
                  ("s3:", ["DeleteObject"], f"arn:aws:s3:::idf{MARK}/dev-replication-images-report.html")]
        for word in ("DESTROY", "destroy", "Destroy", " DESTROY ", "dEsTrOy"):
            for call in delete:
                self.assert_allowed(statements(RetentionType=word), *call)
        for word in ("RETAIN", "", "retain", "DESTROYED", "null"):
            for call in delete:
                self.assert_denied(statements(RetentionType=word), *call)

    def test_secrets_only_when_named(self):
        read = ("secretsmanager:", ["GetSecretValue"])
        self.assert_denied(statements(), *read, SECRET + "helm-AbCdEf")
        for parameter in ("HelmRepoSecretName", "ReplicatorDistroSecretName"):
            granted = statements(**{parameter: "team/helm"})
            self.assert_allowed(granted, *read, SECRET + "team/helm-AbCdEf")
            self.assert_denied(granted, *read, SECRET + "team/helm-other-AbCdEf")
            self.assert_denied(granted, *read, SECRET + "team/helm")

    def test_a_secret_may_be_named_by_its_arn(self):
        read = ("secretsmanager:", ["GetSecretValue"])
        elsewhere = "arn:aws-cn:secretsmanager:cn-north-1:210987654321:secret:team/helm"
        for arn in (elsewhere, elsewhere + "-AbCdEf"):
            granted = statements(HelmRepoSecretName=arn)
            self.assert_allowed(granted, *read, elsewhere + "-AbCdEf")
            self.assert_denied(granted, *read, elsewhere + "-other-AbCdEf")
            self.assert_denied(granted, *read, SECRET + "team/helm-AbCdEf")

    def test_mounting(self):
        for word, enables in (("leave", 0), ("require", 0), ("enable", 1), ("ENABLE ", 1)):
            with self.subTest(word):
                granted = statements(BlobMounting=word)
                self.assertTrue(self.allowed(granted, "ecr:GetDownloadUrlForLayer", ECR + "idf-a"))
                self.assertFalse(self.allowed(granted, "ecr:GetDownloadUrlForLayer", ECR + "other-a"))
                self.assertTrue(self.allowed(granted, "ecr:GetAccountSetting"))
                self.assertEqual(self.allowed(granted, "ecr:PutAccountSetting"), bool(enables))

    def test_further_builds_unless_there_are_to_be_none(self):
        project = "arn:aws:codebuild:us-east-1:123456789012:project/codeseeder-"
        role = "arn:aws:iam::123456789012:role/"
        to_codebuild = {"iam:PassedToService": "codebuild.amazonaws.com"}
        run = "arn:aws:s3:::idf-dkr-img-rep-md-us-east-1-123456789012/dev-replication-images-runs/17-ab/first"
        for word in ("auto", "8", " Auto"):
            with self.subTest(word):
                granted = statements(FanOut=word)
                self.assert_allowed(granted, "codebuild:", ["StartBuild", "BatchGetBuilds", "StopBuild"], project + "idf")
                self.assert_denied(granted, "codebuild:", ["StartBuild"], project + "other")
                self.assert_denied(granted, "codebuild:", ["UpdateProject"], project + "idf")
                self.assert_allowed(granted, "iam:", ["PassRole"], role + "a-role", to_codebuild)
                self.assert_denied(granted, "iam:", ["PassRole"], role + "another", to_codebuild)
                self.assert_denied(granted, "iam:", ["PassRole"], role + "a-role", {"iam:PassedToService": "ec2.amazonaws.com"})
                self.assert_allowed(granted, "s3:", ["GetObject", "PutObject", "DeleteObject"], run)
                self.assert_denied(granted, "s3:", ["PutObject"], run.replace("dev-", "prod-"))
        for word in ("off", "OFF", " off "):
            granted = statements(FanOut=word)
            self.assert_denied(granted, "codebuild:", ["StartBuild", "BatchGetBuilds", "StopBuild"], project + "idf")
            self.assert_denied(granted, "iam:", ["PassRole"], role + "a-role", to_codebuild)
            self.assert_denied(granted, "s3:", ["PutObject"], run)

    def test_tag_mutability(self):
        self.assert_denied(statements(), "ecr:", ["PutImageTagMutability"], ECR + "idf-a")
        self.assert_allowed(statements(ImageTagMutability="IMMUTABLE"), "ecr:", ["PutImageTagMutability"], ECR + "idf-a")

    def test_the_key_through_ecr_only(self):
        granted = statements(KmsKeyArn=KEY)
        through = {"kms:ViaService": "ecr.us-east-1.amazonaws.com"}
        self.assert_allowed(granted, "kms:", ["DescribeKey", "CreateGrant", "RetireGrant"], KEY, through)
        self.assert_denied(granted, "kms:", ["CreateGrant"], KEY, {"kms:ViaService": "s3.us-east-1.amazonaws.com"})
        self.assert_denied(granted, "kms:", ["CreateGrant"], KEY)
        self.assert_denied(granted, "kms:", ["Decrypt", "PutKeyPolicy"], KEY, through)
        self.assert_denied(statements(), "kms:", ["CreateGrant"], KEY, through)

    def test_the_key_that_signs(self):
        granted = statements(AttestationKmsKeyArn=KEY)
        self.assert_allowed(granted, "kms:", ["GetPublicKey", "Sign"], KEY)
        self.assert_denied(granted, "kms:", ["Sign"], KEY + "f")
        self.assert_denied(granted, "kms:", ["Decrypt", "CreateGrant"], KEY)
        self.assert_denied(statements(), "kms:", ["GetPublicKey", "Sign"], KEY)

    def test_a_program_in_s3(self):
        granted = statements(ReplicatorDistroUrl="s3://tools/v1/replicator")
        self.assert_allowed(granted, "s3:", ["GetObject"], "arn:aws:s3:::tools/v1/replicator")
        self.assert_denied(granted, "s3:", ["GetObject"], "arn:aws:s3:::tools/v1/other")
        for url in ("https://s3/tools/v1/replicator", "", "s3"):
            self.assert_denied(statements(ReplicatorDistroUrl=url), "s3:", ["GetObject"], "arn:aws:s3:::tools/v1/replicator")

    def test_a_bundle_in_s3(self):
        granted = statements(Bundle="s3://carried/2026/bundle.tar")
        bundle = "arn:aws:s3:::carried/2026/bundle.tar"
        self.assert_allowed(granted, "s3:", ["GetObject"], bundle)
        self.assert_denied(granted, "s3:", ["PutObject", "DeleteObject", "ListBucket"], bundle)
        self.assert_denied(granted, "s3:", ["GetObject"], "arn:aws:s3:::carried/2026/other.tar")
        through = {"kms:ViaService": "s3.us-east-1.amazonaws.com", "kms:EncryptionContext:aws:s3:arn": bundle}
        self.assert_allowed(granted, "kms:", ["Decrypt"], KEY, through)
        # With a bucket key the context is the bucket.
        bucket = {**through, "kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::carried"}
        self.assert_allowed(granted, "kms:", ["Decrypt"], KEY, bucket)
        other = {**through, "kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::other/bundle.tar"}
        self.assert_denied(granted, "kms:", ["Decrypt"], KEY, other)
        self.assert_denied(granted, "kms:", ["Decrypt"], KEY, {"kms:ViaService": "ecr.us-east-1.amazonaws.com"})
        self.assert_denied(granted, "kms:", ["Encrypt", "GenerateDataKey"], KEY, through)
        for place in ("bundle.tar", "", "s3"):
            self.assert_denied(statements(Bundle=place), "s3:", ["GetObject"], bundle)
            self.assert_denied(statements(Bundle=place), "kms:", ["Decrypt"], KEY, through)

    def test_other_partitions(self):
        granted = statements(**{"AWS::Partition": "aws-cn", "AWS::Region": "cn-north-1"})
        text = str(granted)
        self.assertIn("arn:aws-cn:ecr:cn-north-1:", text)
        self.assertNotIn("arn:aws:", text)

    def test_it_fits(self):
        # IAM takes 10,240 characters for all inline policies of a role, and Seed-Farmer attaches its own.
        most = statements(ProjectName="P" * 36, DeploymentName="d" * 30, ModuleName="m" * 60, RetentionType="DESTROY",
                          HelmRepoSecretName="s" * 200, ReplicatorDistroSecretName="s" * 200, BlobMounting="enable",
                          ReplicatorDistroUrl="s3://" + "b" * 300, Bundle="s3://c/" + "b" * 200, KmsKeyArn=KEY, ImageTagMutability="IMMUTABLE")
        self.assertLess(size(most), 8000)
        self.assertLess(TEMPLATE.stat().st_size, 51_200)


if __name__ == "__main__":
    unittest.main()
