"""Behind the Spot the fake page: two photos, one of them a negative; which one?"""
